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


async def test_a_label_set_again_takes_the_node_on_as_it_is(here: World, spare: Spare) -> None:
    """Handed back and over again under a running Pod: it keeps its slice and its claim, and new Pods come."""
    on = spare.add(node_plan("node-r", "a100-80gb"))
    here.stack.hand_over("node-r")
    await here.create(pod("stays", "3g.40gb", nodeSelector=on))
    await here.running("stays")
    before = here.hardware("node-r")
    here.stack.take_back("node-r")
    await here.create(pod("new", "1g.10gb", nodeSelector=on))
    await here.waiting("new", "NoNodeFits")
    here.stack.hand_over("node-r")
    await here.running("new")
    assert before.items() <= here.hardware("node-r").items()
    assert claims(here, "stays") == ["node-r"]
    assert here.track("stays").phase == "Running"


async def test_a_node_made_anew_under_its_name_keeps_what_runs(here: World, spare: Spare) -> None:
    """S10: another Node object, another MigSpec; the running Pod's claim is rebuilt, its slice never touched."""
    on = spare.add(node_plan("node-n", "a100-80gb"))
    here.stack.hand_over("node-n")
    await here.create(pod("survivor", "3g.40gb", nodeSelector=on))
    await here.running("survivor")
    before, uid = here.hardware("node-n"), here.migspec("node-n").uid
    here.node("node-n").sim.reset_calls()
    here.stack.cluster.kubectl("delete", "node", "node-n")
    here.node("node-n").node.restart_kubelet()
    await here.poll(lambda: here.labels("node-n"), "the Node again")
    here.stack.renew_agent_token("node-n")
    here.stack.hand_over("node-n")
    await here.until(lambda: claims(here, "survivor") == ["node-n"] and here.migspec("node-n").uid != uid, "rebuilt")
    assert here.hardware("node-n") == before
    await here.create(pod("beside", "1g.10gb", nodeSelector=on))
    await here.running("beside")
    assert here.track("survivor").phase == "Running"
    assert before.items() <= here.hardware("node-n").items()
    assert not any("Destroy" in name for name in here.node("node-n").sim.calls())


async def test_a_lost_gpu_delays_nobody_whom_the_other_one_can_serve(here: World, spare: Spare) -> None:
    """N5: its room is no room; who waits is told that it is left out, and served when it is back."""
    on = spare.add(node_plan("node-l", "a100-80gb", "a100-80gb"))
    here.stack.hand_over("node-l")
    await here.until(lambda: taken_on(here, "node-l", gpus=2), "taken on")
    sim = here.node("node-l").sim
    sim.lose(0)
    names = ("first", "second")
    await here.create(*(pod(name, "7g.80gb", nodeSelector=on) for name in names))
    await here.until(lambda: sorted(here.track(name).phase for name in names) == ["Pending", "Running"], "one runs")
    (waiting,) = (name for name in names if here.track(name).phase == "Pending")
    words = f"left out: {sim.gpus[0].uuid}"
    await here.until(lambda: words in here.track(waiting).message, "the other is told", timeout_s=60)
    assert "fell off the bus" in here.track(waiting).message
    sim.reset(0)
    await here.running(*names, timeout_s=90)


async def test_foreign_slices_are_taken_over_by_an_annotation(here: World, spare: Spare) -> None:
    """What nobody could use becomes warm: the next Pod starts on it, or it makes room for a larger one."""
    on = spare.add(node_plan("node-o", "a100-80gb"))
    sim = here.node("node-o").sim
    sim.create_foreign(0, "3g.40gb", 4)
    (foreign,) = here.hardware("node-o")
    here.stack.hand_over("node-o")
    await here.until(lambda: taken_on(here, "node-o", gpus=1), "taken on")
    assert [item.uuid for item in here.slices("node-o", SliceState.FOREIGN)] == [foreign]
    here.stack.cluster.kubectl("annotate", "node", "node-o", "nos.nebuly.com/adopt-mig=all")
    await here.until(
        lambda: (
            [item.uuid for item in here.slices("node-o", SliceState.FREE)] == [foreign]
            and [len(gpu.slices) for gpu in here.migspec("node-o").spec.gpus] == [1]
        ),
        "in the spec, and free",
    )
    await here.create(pod("small", "3g.40gb", nodeSelector=on))
    await here.running("small")
    assert here.device("node-o", "small") == foreign
    await here.create(pod("whole", "7g.80gb", nodeSelector=on))
    await here.waiting("whole", "Full")
    await here.delete("small")
    await here.running("whole")


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


def taken_on(here: World, node: str, *, gpus: int) -> bool:
    """Whether the spec names so many GPUs of a node by now."""
    known = here.timeline.migspecs.get(node)
    return known is not None and len(known.spec.gpus) == gpus
