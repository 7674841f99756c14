"""What the half beside NVIDIA's plugin asks of the agent's state, and what it is answered while something is unknown."""

from dataclasses import replace

import pytest

from mig.migspec import MigMode, MigSpec, Spec, SpecGpu, SpecSlice
from nodeagent.gpus.leaving import Stage
from nodeagent.nvidia.entries import Entry
from nodeagent.nvidia.node import DEPARTING_S, MAKING_S, NodeView
from nodeagent.state import Departure, Failure, Farewell, GpuRecord, NodeState
from nodeagent.trouble import Trouble
from nodeagent.values import DriverFacts, Gpu
from tests.support.instances import GPU, instance, placed


class Clock:
    """Seconds, moved by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state() -> NodeState:
    """One GPU with two slices; the spec wants both."""
    made = NodeState("node-1", "boot-1", driver=DriverFacts("580.95.05", 1), looked=True)
    gpu = Gpu(GPU, 0, "NVIDIA A100-SXM4-80GB", MigMode.ENABLED)
    slices = (instance("1g.10gb@0+1", gi=1, uuid="MIG-a"), instance("1g.10gb@1+1", gi=2, uuid="MIG-b"))
    made.gpus[0] = GpuRecord(0, gpu=gpu, instances=slices, owned=frozenset({1, 2}))
    made.migspec = spec_of("1g.10gb@0+1", "1g.10gb@1+1")
    return made


@pytest.fixture
def view(state: NodeState, clock: Clock) -> NodeView:
    async def look() -> bool:
        return True

    return NodeView(state, look=look, clock=clock)


def small(*device_ids: str) -> frozenset[Entry]:
    return frozenset(Entry("nvidia.com/mig-1g.10gb", each) for each in device_ids)


def spec_of(*places: str) -> MigSpec:
    wanted = tuple(SpecSlice(item.window, item.profile) for item in map(placed, places))
    return MigSpec("node-1", "uid", 1, "1", Spec(1, (SpecGpu(GPU, wanted),)))


def test_slices_are_present_once_every_gpu_was_read(state: NodeState, view: NodeView) -> None:
    """Unknown is not gone."""
    assert view.present(frozenset()) == small("MIG-a", "MIG-b")
    state.gpus[0].gpu = None
    assert view.present(frozenset()) is None


def test_what_lies_in_an_instance_that_is_cut_up_is_not_called_gone(state: NodeState, view: NodeView) -> None:
    """Its UUIDs are not read. What was seen and is no more is gone all the same."""
    listed = small("MIG-a", "MIG-b", "MIG-of-a-part")
    view.present(listed)
    cut = replace(instance("3g.40gb@4+4", gi=3, uuid=""), whole=False)
    state.gpus[0].instances = (state.gpus[0].instances[0], cut)
    assert view.present(listed) == small("MIG-a", "MIG-of-a-part")
    assert view.cut_up() == ("3g.40gb at 4 of GPU 0",)


def test_a_slice_that_was_remade_is_present_under_its_new_profile_alone(state: NodeState, view: NodeView) -> None:
    """Its UUID can be the one before; also beside an instance that is cut up."""
    cut = replace(instance("3g.40gb@4+4", gi=3, uuid=""), whole=False)
    state.gpus[0].instances = (instance("1g.10gb+me@0+1", gi=1, uuid="MIG-a"), cut)
    assert view.present(small("MIG-a")) == frozenset({Entry("nvidia.com/mig-1g.10gb.me", "MIG-a")})


def test_nothing_changes_when_all_that_is_wanted_is_there(view: NodeView) -> None:
    assert not view.changing()


def test_a_slice_that_is_being_made_is_a_change_but_not_for_ever(
    state: NodeState, view: NodeView, clock: Clock
) -> None:
    """Nor one that could not be made, or that must wait, or on a GPU in trouble."""
    state.migspec = spec_of("1g.10gb@0+1", "1g.10gb@1+1", "1g.10gb@2+1")
    assert view.changing()
    clock.now += MAKING_S
    assert not view.changing()
    state.migspec = spec_of("1g.10gb@0+1")
    assert not view.changing()
    state.migspec = spec_of("1g.10gb@3+1")
    assert view.changing(), "another one has its own time"
    record, item = state.gpus[0], placed("1g.10gb@3+1")
    record.waiting = {item: "no room yet"}
    assert not view.changing()
    record.waiting, record.failed[item] = {}, Failure("no", 1, 0.0, 1.0)
    assert not view.changing()
    record.failed.clear()
    record.trouble = Trouble("GpuUnavailable", "lost")
    assert not view.changing()


def test_a_slice_on_its_way_out_is_a_change_until_it_stands_still(
    state: NodeState, view: NodeView, clock: Clock
) -> None:
    state.gpus[0].leaving["MIG-a"] = Departure(Stage.HELD, clock.now)
    assert view.changing()
    clock.now += DEPARTING_S
    assert not view.changing()


def test_an_agent_that_ends_starts_nothing_any_more(state: NodeState, view: NodeView) -> None:
    state.farewell = Farewell.ANNOUNCED
    assert view.changing()
