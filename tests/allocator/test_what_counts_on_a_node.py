"""Every Pod counts once on each node that holds room for it: where it is bound, or else where its slices and its nomination are."""

from typing import Any

import pytest

from allocator.decisions import Memory
from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.index import Index, key_of, read_node, read_spec
from allocator.placement.fleet import HostPort, NodeView, Resources
from mig.geometries import ANYTHING
from mig.migspec import Claim, MigMode, Spec, SpecGpu, SpecSlice, Status, StatusGpu
from mig.migspec_json import spec_to_json, status_to_json
from mig.placements import Window
from mig.profiles import parse_profile
from tests.allocator import objects
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
PORT = {"hostPort": 80, "containerPort": 80}


class Scene:
    """Two nodes of 8 CPUs, 8 GiB and 10 Pods; on `n1` a slice is claimed by the Pods that say so."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.index = Index()
        self.index.set_geometries(ANYTHING)
        claims = [pod["metadata"]["uid"] for pod in pods if pod["metadata"].pop("claims", False)]
        for name in ("n1", "n2"):
            node = objects.node(name, cpu="8")
            node["metadata"] |= {"uid": name, "resourceVersion": "1"}
            node["status"]["allocatable"] |= {"memory": "8Gi", "pods": "10", "ephemeral-storage": "10Gi"}
            self.index.nodes.watched(key_of(node), read_node(node))
            spec = self._spec(name, claims if name == "n1" else [])
            self.index.specs.watched(key_of(spec), read_spec(spec))
        for obj in pods:
            self.index.pods.watched(key_of(obj), self.index.read_pod(obj))

    def _spec(self, node: str, claims: list[str]) -> dict[str, Any]:
        slices = tuple(
            SpecSlice(Window(start, 1), parse_profile("1g.10gb"), Claim(uid, "c0", "default", uid))
            for start, uid in enumerate(claims)
        )
        gpu = StatusGpu(f"GPU-{node}", 0, "NVIDIA A100", MigMode.ENABLED, A100.width, A100.offers)
        return {
            "metadata": {"name": node, "uid": node, "generation": 1, "resourceVersion": "1"},
            "spec": spec_to_json(Spec(1, (SpecGpu(gpu.uuid, slices),))),
            "status": status_to_json(Status(1, "boot", "580", (gpu,), ())),
        }

    def nodes(self) -> dict[str, NodeView]:
        """What a round sees."""
        desk = Desk(self.index.view(1), now=0.0, memory=Memory())
        return {view.name: view for view in Fleet(desk).views()}

    def free(self) -> tuple[Resources, Resources]:
        """What is left on either node."""
        nodes = self.nodes()
        return nodes["n1"].free, nodes["n2"].free


def pod(
    name: str, *profiles: str, cpu: str = "1", nominated: str = "", claims: bool = False, **more: Any
) -> dict[str, Any]:
    obj = objects.pod(name, *profiles, cpu=cpu, **more)
    obj["metadata"] |= {"uid": name, "resourceVersion": "1", "claims": claims}
    if nominated:
        obj["status"]["nominatedNodeName"] = nominated
    return obj


def left(cpus: int, pods: int) -> Resources:
    return Resources(cpus * 1000, 8 * 2**30, pods, {"ephemeral-storage": 10 * 2**30})


WHOLE = left(8, 10)


@pytest.mark.parametrize("profiles", [(), ("1g.10gb",)], ids=["plain", "MIG"])
def test_a_bound_pod_counts_where_it_is_and_no_more_where_it_was_nominated(profiles: tuple[str, ...]) -> None:
    bound = pod("a", *profiles, gates=(), node="n1", nominated="n2", claims=bool(profiles))
    assert Scene(bound).free() == (left(7, 9), WHOLE)


@pytest.mark.parametrize("profiles", [(), ("1g.10gb",)], ids=["plain", "MIG"])
def test_a_nominated_pod_counts_where_the_scheduler_holds_room_for_it(profiles: tuple[str, ...]) -> None:
    assert Scene(pod("a", *profiles, gates=(), nominated="n2")).free() == (WHOLE, left(7, 9))


def test_a_pod_that_is_reserved_nominated_and_bound_on_one_node_counts_there_once() -> None:
    everything = pod("a", "1g.10gb", gates=(), node="n1", nominated="n1", claims=True)
    nominated = pod("b", "1g.10gb", gates=(), nominated="n1", claims=True)
    assert Scene(everything, nominated).free() == (left(6, 8), WHOLE)


def test_a_pod_with_slices_on_one_node_and_a_nomination_on_another_counts_on_both() -> None:
    """S7: until it is bound, either may become its place."""
    assert Scene(pod("a", "1g.10gb", gates=(), nominated="n2", claims=True)).free() == (left(7, 9), left(7, 9))


def test_a_gated_pod_counts_from_its_reservation_on() -> None:
    """The scheduler does not know of it yet: until its gate goes, the allocator alone accounts for it."""
    assert Scene(pod("a", "1g.10gb", claims=True), pod("b", "1g.10gb")).free() == (left(7, 9), WHOLE)


def test_a_plain_pod_that_waits_or_has_finished_takes_nothing() -> None:
    finished = pod("b", gates=(), node="n1")
    finished["status"]["phase"] = "Succeeded"
    assert Scene(pod("a", gates=()), finished).free() == (WHOLE, WHOLE)


def test_a_pod_that_is_being_deleted_takes_what_it_has_until_it_is_gone() -> None:
    dying = pod("a", gates=(), node="n1")
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert Scene(dying).free() == (left(7, 9), WHOLE)


def test_overhead_storage_and_ports_of_all_who_are_there_are_taken() -> None:
    plain = pod("a", gates=(), node="n1", overhead={"cpu": "1", "ephemeral-storage": "1Gi"})
    plain["spec"]["containers"][0]["ports"] = [PORT]
    reserved = pod("b", "1g.10gb", claims=True)
    reserved["spec"]["containers"][0]["ports"] = [{**PORT, "protocol": "UDP", "hostIP": "10.0.0.1"}]
    node = Scene(plain, reserved).nodes()["n1"]
    assert node.free == Resources(5000, 8 * 2**30, 8, {"ephemeral-storage": 9 * 2**30})
    assert set(node.used_ports) == {HostPort(80, "TCP", ""), HostPort(80, "UDP", "10.0.0.1")}


def test_a_pod_that_is_resized_takes_the_larger_size() -> None:
    shrinking = pod("a", gates=(), node="n1")
    shrinking["status"]["containerStatuses"] = [{"name": "c0", "allocatedResources": {"cpu": "3"}}]
    assert Scene(shrinking).free() == (left(5, 9), WHOLE)


def test_nothing_of_a_pod_is_left_behind_when_it_goes() -> None:
    """F4."""
    gone = pod("a", gates=(), node="n1", overhead={"ephemeral-storage": "1Gi"})
    scene = Scene(gone)
    scene.index.pods.deleted(key_of(gone))
    assert scene.free() == (WHOLE, WHOLE)


def test_two_rounds_without_a_change_see_equal_nodes_and_the_very_same_gpus() -> None:
    scene = Scene(pod("a", "1g.10gb", claims=True, activeDeadlineSeconds=60), pod("b", gates=(), node="n1"))
    first, second = scene.nodes(), scene.nodes()
    assert first == second
    assert all(first[name].gpus is second[name].gpus for name in first)


@pytest.mark.parametrize(
    ("free", "room"),
    [
        (Resources(8000, 8 * 2**30), 1.0),
        (Resources(4000, 8 * 2**30), 0.5),
        (Resources(8000, 3 * 2**30), 0.375),
        (Resources(8000, 0), 0.0),
        (Resources(-4000, 8 * 2**30), 0.0),
        (Resources(7990, 8 * 2**30), 1.0),
        (Resources(7500, 8 * 2**30), 0.9375),
        (Resources(16000, 16 * 2**30), 1.0),
    ],
)
def test_a_nodes_room_is_the_scarcer_of_cpu_and_memory_in_sixteenths(free: Resources, room: float) -> None:
    node = Scene().nodes()["n1"]
    assert NodeView(node.facts, free, node.gpus).room == room


@pytest.mark.parametrize("unknown", ["cpu", "memory"])
def test_what_a_node_does_not_tell_is_not_scarce(unknown: str) -> None:
    obj = objects.node("n1", cpu="8")
    obj["metadata"] |= {"uid": "n1", "resourceVersion": "1"}
    del obj["status"]["allocatable"][unknown]
    facts = read_node(obj).value
    half = Resources(facts.allocatable.milli_cpu // 2, facts.allocatable.memory // 2)
    assert NodeView(facts, half, ()).room == 0.5
    assert NodeView(facts, Resources(-1, -1), ()).room == 0.0
