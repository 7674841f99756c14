"""The running sums of what Pods take are at every moment what adding up all Pods afresh would give."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from allocator.index import Index, key_of
from allocator.loads import NodeLoad
from allocator.placement.fleet import NOTHING, HostPort, Resources
from allocator.pods import MigPod, PodReader
from tests.allocator import objects

AMOUNTS = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["0", "1", "250m"])},
    optional={"memory": st.sampled_from(["1Gi", "1"]), "ephemeral-storage": st.sampled_from(["0", "5"])},
)
PODS = st.fixed_dictionaries(
    {
        "name": st.sampled_from("abcd"),
        "uid": st.sampled_from("12"),
        "profiles": st.sampled_from([(), ("1g.10gb",), ("1g.10gb", "1g.10gb", "3g.40gb")]),
        "node": st.sampled_from(["", "n1", "n2"]),
        "nominated": st.sampled_from(["", "n1", "n2"]),
        "requests": AMOUNTS,
        "ports": st.lists(st.sampled_from([80, 81]), max_size=2),
        "phase": st.sampled_from(["Pending", "Running", "Succeeded"]),
    }
)
STEPS = st.lists(st.one_of(PODS, st.sampled_from("abcd")), max_size=30)


def pod(step: dict[str, Any]) -> dict[str, Any]:
    """The Pod of one step as the API server would show it."""
    obj = objects.pod(step["name"], *step["profiles"], node=step["node"], gates=())
    obj["metadata"] |= {"uid": step["name"] + step["uid"], "resourceVersion": repr(step)}
    container = obj["spec"]["containers"][0]
    container["resources"]["requests"] |= step["requests"]
    container["ports"] = [{"hostPort": port} for port in step["ports"]]
    obj["status"] |= {"phase": step["phase"], "nominatedNodeName": step["nominated"]}
    return obj


def added_up(pods: list[dict[str, Any]]) -> dict[str, tuple[Resources, Counter[HostPort], Counter[str]]]:
    """By node: requests, ports and devices of all Pods that have their place."""
    sums: dict[str, tuple[Resources, Counter[HostPort], Counter[str]]] = {}
    for obj in pods:
        read = PodReader().read(obj)
        if not read.node:
            continue
        requests, ports, devices = sums.get(read.node, (NOTHING, Counter(), Counter()))
        if isinstance(read, MigPod):
            ports = ports + Counter(read.wish.host_ports)
            devices = devices + Counter(str(need.profile) for need in read.needs)
            requests = requests.plus(read.wish.requests)
        else:
            requests, ports = requests.plus(read.requests), ports + Counter(read.ports)
        sums[read.node] = requests, ports, devices
    return sums


def without_zeros(requests: Resources) -> Resources:
    """What was there once and is gone may be told as none of it."""
    other = {name: amount for name, amount in requests.other.items() if amount}
    return Resources(requests.milli_cpu, requests.memory, requests.pods, other)


def told(load: NodeLoad) -> tuple[Resources, Counter[HostPort], Counter[str]]:
    """A load in the form of `added_up`."""
    devices = Counter({str(profile): count for profile, count in load.slices.items()})
    return without_zeros(load.requests), Counter(load.ports), devices


@given(steps=STEPS)
def test_sums_that_follow_each_change_equal_sums_made_afresh(steps: list[dict[str, Any] | str]) -> None:
    """F2, F4: Pods come, change, move, finish, go, and come again under their old names; no node without Pods is kept."""
    index, there = Index(), dict[str, dict[str, Any]]()
    for step in steps:
        if isinstance(step, str):
            gone = there.pop(step, None)
            if gone is not None:
                index.pods.deleted(key_of(gone))
        else:
            there[step["name"]] = obj = pod(step)
            index.pods.watched(key_of(obj), index.read_pod(obj))
        expected = added_up(list(there.values()))
        assert {node: told(load) for node, load in index.view(1).loads.items()} == {
            node: (without_zeros(requests), ports, devices) for node, (requests, ports, devices) in expected.items()
        }


def test_a_change_of_a_pods_status_leaves_the_very_same_sum() -> None:
    """So a fleet of ten thousand Pods costs a round nothing while they run."""
    index = Index()
    running = objects.pod("a", "1g.10gb", node="n1", gates=())
    running["metadata"] |= {"uid": "a", "resourceVersion": "1"}
    index.pods.watched(key_of(running), index.read_pod(running))
    before = index.view(1).loads["n1"]
    running["metadata"]["resourceVersion"] = "2"
    running["status"]["phase"] = "Running"
    index.pods.watched(key_of(running), index.read_pod(running))
    assert index.view(1).loads["n1"] is before
