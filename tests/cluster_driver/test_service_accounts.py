"""A process outside any Pod can act as a ServiceAccount, and as that of one node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import Cluster, CommandError, Node

NODE_NAME = "authentication.kubernetes.io/node-name"


def who_am_i(cluster: Cluster, kubeconfig: Path) -> dict[str, Any]:
    """Ask the API server, as the holder of that kubeconfig."""
    done = subprocess.run(
        [cluster.binary, "kubectl", "--kubeconfig", kubeconfig, "auth", "whoami", "-o", "json"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    user: dict[str, Any] = json.loads(done.stdout)["status"]["userInfo"]
    return user


def test_a_kubeconfig_acts_as_its_service_account(driven_cluster: Cluster) -> None:
    driven_cluster.kubectl("create", "serviceaccount", "plain")

    user = who_am_i(driven_cluster, driven_cluster.service_account_kubeconfig("default", "plain"))

    assert user["username"] == "system:serviceaccount:default:plain"
    assert NODE_NAME not in user["extra"]


def test_a_kubeconfig_bound_to_a_node_carries_its_name(driven_cluster: Cluster, node: Node) -> None:
    driven_cluster.kubectl("create", "serviceaccount", "bound")

    kubeconfig = driven_cluster.service_account_kubeconfig("default", "bound", node=node.name)

    assert who_am_i(driven_cluster, kubeconfig)["extra"][NODE_NAME] == [node.name]


def test_asking_again_renews_the_token_under_the_same_kubeconfig(driven_cluster: Cluster) -> None:
    driven_cluster.kubectl("create", "serviceaccount", "renewed")
    kubeconfig = driven_cluster.service_account_kubeconfig("default", "renewed", duration_s=3600)
    token_file = kubeconfig.with_suffix(".token")
    first = token_file.read_text()

    again = driven_cluster.service_account_kubeconfig("default", "renewed", duration_s=7200)

    assert again == kubeconfig
    assert token_file.read_text() != first
    assert token_file.stat().st_mode & 0o077 == 0
    assert who_am_i(driven_cluster, kubeconfig)["username"].endswith(":renewed")


def test_an_account_that_is_not_there_is_an_error_in_the_api_servers_words(driven_cluster: Cluster) -> None:
    with pytest.raises(CommandError, match="status 404") as raised:
        driven_cluster.service_account_kubeconfig("default", "nobody")

    assert 'serviceaccounts \\"nobody\\" not found' in raised.value.stderr
