"""How an agent ends: the order of its steps, whom it waits for, and that it ends in time whatever is away."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from kube.errors import Unavailable
from mig.migspec import Claim, Condition, Holder, MigMode, MigSpec, Spec, SpecGpu, SpecSlice, Status
from mig.names import AGENT_LEAVING, GATE
from mig.profiles import Profile
from nodeagent.farewell import LAST_WORD_S, LATE_S, SETTLE_S, START_S, WITHDRAW_S, Leaving, may_come, says_leaving
from nodeagent.kubelet.kubeletside import KubeletStatus
from nodeagent.pods import PodView
from nodeagent.state import Farewell, GpuRecord, NodeState
from nodeagent.use.usage import Memory, Source, Use
from nodeagent.values import Gpu, Instance
from tests.support.instances import placed
from tests.support.virtualtime import run_virtually

SLICE = placed("1g.10gb@0+1")
DRAIN_S = 30.0
POD = Claim(uid="uid-1", container="main", namespace="default", pod="late")


def now() -> float:
    """The virtual time."""
    return asyncio.get_running_loop().time()


def node(claim: Claim | None = POD) -> NodeState:
    """One GPU with one slice of ours, claimed."""
    state = NodeState("node-a", "boot")
    gpu = Gpu("GPU-a", 0, "A100", MigMode.ENABLED)
    made = Instance("GPU-a", 1, SLICE, "MIG-1")
    state.gpus[0] = GpuRecord(0, gpu, (made,), frozenset({1}))
    spec = Spec(1, (SpecGpu("GPU-a", (SpecSlice(SLICE.window, SLICE.profile, claim),)),))
    state.migspec = MigSpec("node-a", "uid", 1, "1", spec)
    return state


def pod(**more: Any) -> dict[str, Any]:
    """The Pod of the claim: let go, not bound."""
    parts: dict[str, Any] = {"metadata": {"uid": POD.uid}, "spec": {}, "status": {"phase": "Pending"}}
    return {name: {**part, **more.get(name, {})} for name, part in parts.items()}


@dataclass
class Outside:
    """Stands at the edges: what the API server and the kubelet say, and when each step was reached."""

    state: NodeState
    found: Callable[[float], Mapping[str, Any] | None] = lambda _: None
    writes: bool = True
    withdraws: bool = True
    answers_after_s: float = 0.0
    steps: list[tuple[Farewell | None, float]] = field(default_factory=list)
    at_work: bool = False
    held: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    hung_up: bool = False
    """The keeper never comes to withdraw, though the kubelet answers."""
    counted_at: float = 0.0

    async def told(self, holds: Callable[[Status], bool], *, within_s: float) -> bool:
        """A report was written, or the API server is away."""
        self._reached()
        reason = AGENT_LEAVING if self.state.farewell else "Healthy"
        assert holds(Status(1, "boot", conditions=(Condition("Healthy", "False", reason, ""),)))
        return await self._written(within_s)

    async def written(self, *, within_s: float) -> bool:
        """As `told`."""
        self._reached()
        return await self._written(within_s)

    async def look_up(self, claim: Claim) -> Mapping[str, Any] | None:
        """The claim's Pod."""
        assert claim == POD
        if not self.writes:
            raise Unavailable("away")
        await asyncio.sleep(self.answers_after_s)
        return self.found(now())

    def offered_now(self) -> frozenset[str]:
        """Until it is withdrawn, the one slice."""
        self._reached()
        gone = self.withdraws and not self.hung_up and self.state.farewell is not Farewell.ANNOUNCED
        return frozenset() if gone else frozenset({"MIG-1"}) - self.withdrawn

    def withdraw(self, device_id: str) -> None:
        """By who leaves, not by a keeper; the Node shows it a moment later."""
        self.withdrawn.add(device_id)
        self.counted_at = now() + 0.5

    def counts_published(self, profile: Profile) -> bool:
        """At once, but for what is withdrawn late."""
        return profile == SLICE.profile and now() >= self.counted_at

    @property
    def status(self) -> KubeletStatus:
        """How we stand with it."""
        return KubeletStatus(reachable=self.withdraws, troubles=() if self.withdraws else ("it does not answer",))

    def leaving(self, *, drain_s: float = DRAIN_S) -> Leaving:
        """The end of an agent out here."""
        return Leaving(
            state=self.state,
            kubelet=self,
            hold_back=self.held.add,
            reports=self,
            look_up=self.look_up,
            at_work=lambda: self.at_work,
            clock=now,
            drain_s=drain_s,
        )

    async def _written(self, within_s: float) -> bool:
        if not self.writes:
            await asyncio.sleep(within_s)
        return self.writes

    def _reached(self) -> None:
        if not self.steps or self.steps[-1][0] is not self.state.farewell:
            self.steps.append((self.state.farewell, now()))

    def end(self, *, drain_s: float = DRAIN_S) -> float:
        """Tell it to end, and give the seconds that it took."""

        async def told_to_end() -> float:
            leaving = self.leaving(drain_s=drain_s)
            began = now()
            assert leaving.ask()
            await leaving.run()
            return now() - began

        return run_virtually(told_to_end)


def test_it_says_so_first_then_serves_then_withdraws_and_speaks_last() -> None:
    outside = Outside(node())
    took = outside.end()
    stages = [stage for stage, _ in outside.steps]
    assert stages == [Farewell.ANNOUNCED, Farewell.WITHDRAWING, Farewell.DONE]
    times = dict(outside.steps)
    assert times[Farewell.WITHDRAWING] - times[Farewell.ANNOUNCED] >= SETTLE_S
    assert took < SETTLE_S + 0.1


def test_a_pod_that_was_let_go_is_waited_for_until_it_has_its_slice() -> None:
    state = node()
    outside = Outside(state)
    ready_at: list[float] = []

    def found(at: float) -> Mapping[str, Any] | None:
        ready_at.append(at)
        if len(ready_at) == 10:
            state.memory = Memory({"MIG-1": Use(Source.ASSIGNED, at, Holder("default", "late", POD.uid))})
            state.pods[POD.uid] = PodView("default", "late", POD.uid, started=True)
        return pod()

    outside.found = found
    took = outside.end()
    assert len(ready_at) == 10
    assert took > SETTLE_S + 9 * 0.3
    assert outside.held == {"MIG-1"}, "a used slice is counted no more, so that nobody follows its Pod"


def test_nobody_is_waited_for_longer_than_the_drain() -> None:
    outside = Outside(node(), found=lambda _: pod())
    took = outside.end(drain_s=10.0)
    assert 10.0 <= took < 11.0


def test_an_api_server_that_does_not_answer_holds_nobody_up_longer_than_the_drain() -> None:
    outside = Outside(node(), found=lambda _: pod(), answers_after_s=1000.0)
    took = outside.end(drain_s=10.0)
    assert 10.0 <= took < 11.0


def test_a_pod_that_has_its_slice_and_does_not_start_holds_it_up_for_a_moment_only() -> None:
    """It may be pulling its image; the kubelet tries again until a successor answers."""
    state = node()
    state.memory = Memory({"MIG-1": Use(Source.ASSIGNED, 0.0, Holder("default", "late", POD.uid))})
    state.pods[POD.uid] = PodView("default", "late", POD.uid)
    took = Outside(state).end()
    assert SETTLE_S + START_S <= took < SETTLE_S + START_S + 1


def test_a_bound_pod_without_its_device_is_waited_for() -> None:
    state = node(claim=None)
    state.unserved = frozenset({SLICE.profile})
    took = Outside(state).end(drain_s=10.0)
    assert took >= 10.0


def test_it_ends_in_time_with_the_api_server_and_the_kubelet_away() -> None:
    """The bounds together stay below the 15 s that the chart adds to the drain."""
    outside = Outside(node(), writes=False, withdraws=False)
    took = outside.end(drain_s=10.0)
    assert 10.0 <= took <= 10.0 + SETTLE_S + WITHDRAW_S + LATE_S + LAST_WORD_S + 1
    assert SETTLE_S + WITHDRAW_S + LATE_S + LAST_WORD_S + 1 < 15


def test_a_slice_whose_gpu_hangs_is_not_counted_and_is_withdrawn_at_the_deadline() -> None:
    """N7: its keeper does nothing; who ends without that leaves the Node a count by which Pods are bound and fail."""
    outside = Outside(node(), hung_up=True, at_work=True)
    took = outside.end()
    assert outside.held == {"MIG-1"}
    assert outside.withdrawn == {"MIG-1"}
    late = 0.5  # the count is waited for
    assert SETTLE_S + WITHDRAW_S + late <= took <= SETTLE_S + WITHDRAW_S + LATE_S + 0.1


def test_a_used_slice_whose_gpu_hangs_is_held_back_and_not_withdrawn() -> None:
    """N7: its Pod goes on; only nobody follows it."""
    state = node()
    state.memory = Memory({"MIG-1": Use(Source.ASSIGNED, 0.0, Holder("default", "late", POD.uid))})
    state.pods[POD.uid] = PodView("default", "late", POD.uid, started=True)
    outside = Outside(state, hung_up=True, at_work=True)
    outside.end()
    assert (outside.held, outside.withdrawn) == ({"MIG-1"}, set())


def test_a_node_that_is_not_handed_over_is_left_at_once() -> None:
    state = node()
    state.migspec = None
    assert Outside(state).end() < 0.1


def test_without_a_drain_it_does_not_leave_in_order() -> None:
    """Its process is ended instead."""

    async def ask() -> bool:
        return Outside(node()).leaving(drain_s=0.0).ask()

    assert run_virtually(ask) is False


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (pod(), True),
        (pod(metadata={"deletionTimestamp": "now"}), False),
        (pod(metadata={"uid": "a namesake"}), False),
        (pod(spec={"schedulingGates": [{"name": GATE}]}), False),
        (pod(spec={"schedulingGates": [{"name": "somebody/else"}]}), True),
        (pod(spec={"nodeName": "node-a"}), True),
        (pod(spec={"nodeName": "node-a"}, metadata={"deletionTimestamp": "now"}), True),
        (pod(spec={"nodeName": "node-b"}), False),
        (pod(spec={"nodeName": "node-a"}, status={"phase": "Failed"}), False),
    ],
)
def test_whom_it_waits_for(found: Mapping[str, Any], waits: bool) -> None:  # noqa: FBT001 - a table's column
    """Pods past our gate that are not bound elsewhere, finished or gone."""
    assert may_come(found, uid=POD.uid, node="node-a") is waits


def test_only_a_report_that_says_so_tells_that_it_leaves() -> None:
    assert not says_leaving(Status(1))
    assert not says_leaving(Status(1, conditions=(Condition("Healthy", "True", "Healthy", ""),)))
