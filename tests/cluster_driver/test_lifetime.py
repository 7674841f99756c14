"""A cluster ends whole: by its owner's will, and also when its owner is killed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Cluster, ClusterError
from cluster.processes import identity

OWNER = """
import time
from cluster import Cluster
cluster = Cluster.start(name="nos-orphan")
cluster.add_node("node-1")
print(cluster.directory, flush=True)
time.sleep(600)
"""


def recorded_pids(directory: Path) -> list[int]:
    return [int(note.name) for note in (directory / "pids").iterdir()]


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if identity(pid) is not None]


@pytest.fixture(scope="module")
def second_cluster(driven_cluster: Cluster) -> Iterator[Cluster]:
    """A control plane beside the other tests' own."""
    assert driven_cluster.directory.exists()
    with Cluster.start(name="nos-test") as cluster:
        yield cluster


def test_clusters_side_by_side_do_not_meet(driven_cluster: Cluster, second_cluster: Cluster) -> None:
    for cluster, colour in ((driven_cluster, "red"), (second_cluster, "blue")):
        cluster.kubectl("create", "configmap", "colour", f"--from-literal=is={colour}")

    seen = [
        json.loads(cluster.kubectl("get", "configmap", "colour", "-o", "json"))["data"]["is"]
        for cluster in (driven_cluster, second_cluster)
    ]

    assert seen == ["red", "blue"]
    assert driven_cluster.server != second_cluster.server


def test_the_api_server_can_go_and_come_back_at_the_same_address(second_cluster: Cluster) -> None:
    second_cluster.kubectl("create", "configmap", "kept")

    second_cluster.stop_api_server()
    with pytest.raises(ClusterError, match="refused"):
        second_cluster.kubectl("get", "configmap", "kept")
    second_cluster.start_api_server()

    assert second_cluster.kubectl("get", "configmap", "kept", "-o", "name").strip() == "configmap/kept"


def test_helm_and_kubectl_touch_nothing_of_the_users(second_cluster: Cluster) -> None:
    assert second_cluster.helm("list", "-A", "-o", "json").strip() == "[]"
    assert second_cluster.kubectl("config", "current-context").strip() == "nos-mig"


def test_a_stopped_cluster_leaves_no_process_and_no_folder(second_cluster: Cluster) -> None:
    """The last of this file: it stops the cluster of the others."""
    pids = recorded_pids(second_cluster.directory)
    assert len(living(pids)) == 4

    began = time.monotonic()
    second_cluster.stop()

    assert time.monotonic() - began < 10.0
    assert living(pids) == []
    assert not second_cluster.directory.exists()


def test_nothing_outlives_an_owner_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        pids = recorded_pids(directory)
        assert len(living(pids)) == 6
        assert Cluster.clean_stale(name="nos-orphan") == [], "a cluster whose owner lives is left alone"
        owner.send_signal(signal.SIGKILL)
        owner.wait()

    deadline = time.monotonic() + 5.0
    while living(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert living(pids) == []
    assert directory.exists()
    assert directory in Cluster.clean_stale(name="nos-orphan")
    assert not directory.exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(ClusterError, match="is not empty: give the cluster a folder of its own"):
        Cluster.start(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_too_deep_for_sockets_is_refused_with_the_way_out(driven_cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="give the cluster a shorter folder, or set TMPDIR"):
        driven_cluster.add_node("n" * 63)
