"""Nodes are handed over, taken back, cordoned; hardware that is not ours, or not in MIG mode, is left alone."""

from collections.abc import Iterator

import pytest

from demo.plan import NodePlan, node_plan
from demo.stack import Stack
from kube.errors import NotFound
from mig.migspec import MigMode, SliceState
from tests.cluster.conftest import A, B
from tests.cluster.world import World, pod


class Spare:
    """Makes nodes for one test; they are gone after it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._added: list[str] = []

    def add(self, plan: NodePlan) -> dict[str, str]:
        """Start a node with its agent, not handed over yet; returns the selector for it."""
        self._stack.add_nodes([plan])
        self._added.append(plan.name)
        self._stack.start_agent(plan.name)
        return {"kubernetes.io/hostname": plan.name}

    def remove_all(self) -> None:
        """Take them out of the cluster."""
        for name in self._added:
            self._stack.remove_node(name)


@pytest.fixture
def spare(here: World) -> Iterator[Spare]:
    """A way to get a node of one's own."""
    nodes = Spare(here.stack)
    yield nodes
    nodes.remove_all()


async def test_a_labelled_node_is_handed_over_and_the_label_taken_back_frees_it(here: World, spare: Spare) -> None:
    """Contract 2: no new reservation, running Pods keep their slices, free ones of ours go, then the MigSpec."""
    on = spare.add(node_plan("node-c", "a100-80gb"))
    await here.create(pod("early", "1g.10gb", nodeSelector=on))
    await here.waiting("early", "NoNodeFits")
    here.stack.hand_over("node-c")
    await here.running("early")
    assert here.labels("node-c")["nos.nebuly.com/mig-agent"] == "true"
    await here.create(pod("short", "2g.20gb", nodeSelector=on))
    await here.running("short")
    await here.delete("short")

    here.stack.take_back("node-c")
    device = here.device("node-c", "early")
    await here.poll(lambda: set(here.hardware("node-c")) == {device}, "only the used slice is left")
    await here.create(pod("refused", "1g.10gb", nodeSelector=on))
    await here.waiting("refused", "NoNodeFits")
    assert here.track("early").phase == "Running"

    await here.delete("early")
    await here.until(lambda: "node-c" not in here.timeline.migspecs, "the MigSpec gone")
    assert here.hardware("node-c") == {}
    with pytest.raises(NotFound):
        await here.get_migspec("node-c")
    await here.poll(lambda: "nos.nebuly.com/mig-agent" not in here.labels("node-c"), "the agent's label gone")


async def test_a_foreign_slice_occupies_its_room_and_is_never_touched(here: World, spare: Spare) -> None:
    """Invariant 3, N6: an admin's own slice outlives everything that happens around it."""
    on = spare.add(node_plan("node-f", "a100-80gb"))
    sim = here.node("node-f").sim
    sim.create_foreign(0, "3g.40gb", 0)
    (foreign,) = here.hardware("node-f")
    here.stack.hand_over("node-f")
    await here.create(pod("beside", "3g.40gb", nodeSelector=on), pod("whole", "7g.80gb", nodeSelector=on))
    await here.running("beside")
    assert any(item.uuid == foreign and not item.owned for item in here.slices("node-f", SliceState.FOREIGN))
    assert here.device("node-f", "beside") != foreign
    await here.waiting("whole", "Full")
    await here.delete("beside", "whole")
    here.stack.take_back("node-f")
    await here.until(lambda: "node-f" not in here.timeline.migspecs, "the MigSpec gone")
    assert set(here.hardware("node-f")) == {foreign}


async def test_gpus_with_mig_mode_off_are_reported_and_left_alone(here: World, spare: Spare) -> None:
    """Contract 1: one GPU of two is in MIG mode; the other is named in the status and never used."""
    plan = NodePlan("node-m", ("a100-80gb", "a100-80gb"), (False, True))
    on = spare.add(plan)
    here.stack.hand_over("node-m")
    await here.create(pod("whole", "7g.80gb", nodeSelector=on), pod("second", "7g.80gb", nodeSelector=on))
    await here.until(lambda: {here.track(n).phase for n in ("whole", "second")} == {"Running", "Pending"}, "one runs")
    status = here.migspec("node-m").status
    assert status is not None
    assert [gpu.mig_mode for gpu in status.gpus] == [MigMode.DISABLED, MigMode.ENABLED]
    waiting = next(name for name in ("whole", "second") if here.track(name).phase == "Pending")
    await here.waiting(waiting, "Full")
    assert not here.node("node-m").sim.gpus[0].instances


async def test_a_node_cordoned_between_reservation_and_binding_loses_the_pod_to_another(here: World) -> None:
    """S7, S8: the Pod runs elsewhere on an equal slice, and its claim follows it."""
    sims = {name: here.node(name).sim for name in (A, B)}
    for sim in sims.values():
        sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", block_ms=1500)
    try:
        await here.create(pod("mover", "4g.40gb"))
        await here.until(lambda: any(claims(here, "mover")), "a reservation")
        (first,) = claims(here, "mover")
        here.stack.cluster.kubectl("cordon", first)
        await here.running("mover", timeout_s=60)
    finally:
        here.stack.cluster.kubectl("uncordon", A, B)
        for sim in sims.values():
            sim.clear_faults()
    other = B if first == A else A
    assert here.track("mover").node == other
    await here.until(lambda: claims(here, "mover") == [other], "the claim follows")
    await here.until(lambda: here.track("mover").allocation["main"]["node"] == other, "the annotation follows")
    here.assert_sees_its_slice("mover")


def claims(here: World, name: str) -> list[str]:
    """The nodes on which a Pod holds a claim."""
    uid = here.track(name).uid
    return [
        node
        for node, spec in here.timeline.migspecs.items()
        if any(claim.uid == uid for _, _, claim in spec.spec.claims())
    ]
