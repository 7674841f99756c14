"""An agent's token writes its own node's MigSpec status and its own Node's MIG counts, and nothing else, on a real API server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.cluster import Cluster
from kube.client import Api
from kube.errors import Forbidden
from kube.resource import NODES, Resource
from mig import names
from tests.support.chart import NAMESPACE, refused

MIGSPECS = Resource(names.GROUP, names.VERSION, names.PLURAL, namespaced=False)
REPORT = {"status": {"observedGeneration": 1}}
COUNTS = {"status": {"capacity": {"nvidia.com/mig-1g.10gb": "2"}, "allocatable": {"nvidia.com/mig-1g.10gb": "2"}}}
KUBELETS = {
    "status": {
        "capacity": {"cpu": "2", "nvidia.com/gpu": "1"},
        "allocatable": {"cpu": "2", "nvidia.com/gpu": "1"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
    }
}


@pytest.fixture(scope="module", autouse=True)
def _migspecs(cluster: Cluster) -> Iterator[None]:
    for node in ("n1", "n2"):
        migspec = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": node},
            "spec": {"leaderEpoch": 1},
        }
        cluster.kubectl("create", "-f", "-", input=json.dumps(migspec))
    yield
    cluster.kubectl("delete", "migspecs", "n1", "n2")


@pytest.fixture(autouse=True)
async def _in_force(agent: Api, admin: Api) -> None:
    await refused(lambda: agent.merge_patch(NODES, "n2", {"status": {"phase": "Running"}}, subresource="status"))
    await admin.merge_patch(NODES, "n1", KUBELETS, subresource="status")


async def test_an_agent_reports_on_its_own_node(agent: Api) -> None:
    await agent.merge_patch(MIGSPECS, "n1", REPORT, subresource="status")


async def test_an_agent_publishes_its_own_nodes_counts(agent: Api, admin: Api) -> None:
    """Up, down and away again; both kinds of count."""
    for count in ("2", "1", "0", None):
        counts = {"nvidia.com/mig-1g.10gb": count, "nvidia.com/mig-3g.40gb": count}
        patch = {"status": {"capacity": counts, "allocatable": counts}}
        node = await agent.merge_patch(NODES, "n1", patch, subresource="status")
        assert node["status"]["capacity"].get("nvidia.com/mig-1g.10gb") == count
    assert (await admin.get(NODES, "n1"))["status"]["capacity"] == {"cpu": "2", "nvidia.com/gpu": "1"}


async def test_an_agent_does_not_report_on_another_node(agent: Api) -> None:
    with pytest.raises(Forbidden, match="this token is bound to n1, the object is n2"):
        await agent.merge_patch(MIGSPECS, "n2", REPORT, subresource="status")


async def test_an_agent_does_not_publish_another_nodes_counts(agent: Api) -> None:
    with pytest.raises(Forbidden, match="this token is bound to n1, the object is n2"):
        await agent.merge_patch(NODES, "n2", COUNTS, subresource="status")


async def test_a_token_that_is_bound_to_no_node_writes_nothing(cluster: Cluster) -> None:
    path = cluster.service_account_kubeconfig(NAMESPACE, "nos-mig-nodeagent")
    async with Api.connect(path, user_agent="test") as api:
        for resource, patch in ((MIGSPECS, REPORT), (NODES, COUNTS)):
            with pytest.raises(Forbidden, match="bound to no node"):
                await api.merge_patch(resource, "n1", patch, subresource="status")


@pytest.mark.parametrize(
    "patch",
    [
        {"status": {"capacity": {"cpu": "64"}}},
        {"status": {"allocatable": {"cpu": None}}},
        {"status": {"capacity": {"nvidia.com/gpu": "8"}}},
        {"status": {"allocatable": {"nvidia.com/migs": "8"}}},
        {"status": {"allocatable": {"nvidia.com/mig-1g.10gb": "1", "memory": "1Ti"}}},
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        {"status": {"addresses": None}},
        {"status": {"phase": "Terminated"}},
        {"status": {"images": [{"names": ["a"], "sizeBytes": 1}]}},
        {"metadata": {"labels": {"nos.nebuly.com/gpu-partitioning": "mig"}}},
        {"metadata": {"labels": {"zone": None}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.com/mine"]}},
    ],
    ids=str,
)
async def test_an_agent_changes_nothing_else_of_its_own_node(agent: Api, patch: dict[str, Any]) -> None:
    """Labels and annotations, too, travel on nodes/status."""
    with pytest.raises(Forbidden, match="an agent changes no"):
        await agent.merge_patch(NODES, "n1", patch, subresource="status")


async def test_a_nodes_spec_does_not_travel_on_its_status(agent: Api, admin: Api) -> None:
    await agent.merge_patch(NODES, "n1", {"spec": {"unschedulable": True}}, subresource="status")
    assert not (await admin.get(NODES, "n1"))["spec"].get("unschedulable")


async def test_others_are_not_held_by_the_agents_policy(admin: Api) -> None:
    """The kubelet and the node controllers write what they always wrote."""
    await admin.merge_patch(NODES, "n2", KUBELETS, subresource="status")
    await admin.merge_patch(MIGSPECS, "n2", REPORT, subresource="status")
