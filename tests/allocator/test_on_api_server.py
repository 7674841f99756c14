"""The allocator as a process, with its ServiceAccount's rights, on a real API server with the chart's CRD and policies.

Nodes are objects alone and their agent is a few lines here: what is shown is that every write of ours is one that the API server
takes, and that processes hand over to each other.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from allocator.watching import MIGSPECS
from cluster.cluster import Cluster
from kube.client import Api
from kube.errors import NotFound
from kube.resource import EVENTS, LEASES, NODES, PODS
from mig.demand import request_of
from tests.allocator.onserver import allocator, chart_cluster, eventually, is_let_go, make_node, small_pod, until
from tests.support.chart import NAMESPACE

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with chart_cluster("nos-mig-allocator") as running:
        yield running


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[Api]:
    async with Api.connect(cluster.kubeconfig, user_agent="test-admin") as api:
        yield api


async def _is_told(api: Api) -> bool:
    return any(event["reason"] == "MigAllocated" for event in (await api.list(EVENTS))[0])


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    (kib,) = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("utf-8"))
    return int(kib) / 1024


async def test_a_pod_is_let_go_with_the_rights_of_the_chart_alone(cluster: Cluster, admin: Api, tmp_path: Path) -> None:
    async with allocator(cluster, tmp_path, "first") as process:
        await make_node(admin, "n1")
        await admin.create(PODS, small_pod("a", "1g.10gb", "3g.40gb"))
        pod = await until(admin, "n1", is_let_go, "a")
        assert "n1" in (pod["status"].get("nominatedNodeName"), pod["spec"].get("nodeName"))
        allocation = json.loads(pod["metadata"]["annotations"]["nos.nebuly.com/mig-allocation"])
        assert {place["node"] for place in allocation.values()} == {"n1"}
        (ours,) = [item for item in pod["status"]["conditions"] if item["type"] == "nos.nebuly.com/MigAllocated"]
        assert (ours["status"], ours["reason"]) == ("True", "Allocated")
        await eventually(lambda: _is_told(admin))
        assert rss_mb(process.pid) < 100, "at rest"


async def test_a_killed_leader_is_followed_by_one_that_finishes_its_work(
    cluster: Cluster, admin: Api, tmp_path: Path
) -> None:
    """L10, L11."""
    await make_node(admin, "n2")
    async with allocator(cluster, tmp_path, "one") as one, allocator(cluster, tmp_path, "two") as two:
        await admin.create(PODS, small_pod("b", "1g.10gb", nodeSelector={"name": "n2"}))
        await until(admin, "n1", lambda pod: "MigAllocated" in str(pod["status"].get("conditions")), "b")
        lease = await admin.get(LEASES, "nos-mig-allocator", namespace=NAMESPACE)
        leader = {"one": one, "two": two}[lease["spec"]["holderIdentity"]]
        leader.kill()
        await leader.wait()
        await admin.merge_patch(NODES, "n2", {"metadata": {"labels": {"name": "n2"}}})
        pod = await until(admin, "n2", is_let_go, "b")
        assert "n2" in (pod["status"].get("nominatedNodeName"), pod["spec"].get("nodeName"))
        epochs = {obj["spec"]["leaderEpoch"] for obj in (await admin.list(MIGSPECS))[0]}
        assert epochs == {lease["spec"]["leaseTransitions"] + 1}, "every MigSpec is fenced by the new leader"


async def test_what_a_leader_learned_of_the_demand_is_what_its_successor_starts_with(
    cluster: Cluster, admin: Api, tmp_path: Path
) -> None:
    """L10. The Pods of the tests before are found and counted, too: each once, by whichever leader."""
    async with allocator(cluster, tmp_path, "teacher"):
        await admin.create(PODS, small_pod("c", "4g.40gb", "4g.40gb"))
        await eventually(lambda: _has_learned(admin, "teacher"))
    async with allocator(cluster, tmp_path, "pupil"):
        await eventually(lambda: _has_learned(admin, "pupil"))
        await admin.create(PODS, small_pod("d", "2g.20gb"))
        await eventually(lambda: _has_learned(admin, "pupil", "2g.20gb"))


async def _has_learned(api: Api, leader: str, *more: str) -> bool:
    """Whether this leader has written all the Pods of this file, by profile; never more than there are."""
    try:
        lease = await api.get(LEASES, "nos-mig-allocator", namespace=NAMESPACE)
    except NotFound:
        return False  # nobody led before
    text = (lease["metadata"].get("annotations") or {}).get("nos.nebuly.com/placement-mix", "{}")
    arrivals = {name: round(weight) for name, weight in json.loads(text).get("arrivals", {}).items()}
    pods = (await api.list(PODS))[0]
    asked = Counter(str(profile) for pod in pods for profile in request_of(pod["spec"]).values())
    assert not Counter(arrivals) - asked, "some Pod was counted twice"
    return lease["spec"].get("holderIdentity") == leader and arrivals == asked and arrivals.keys() >= set(more)
