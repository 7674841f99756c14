"""What the half that stands beside NVIDIA's device plugin asks of the agent: questions about the node's state, answered.

Why apart: the kubelet's side knows slices by their ids alone. Whether hardware is being changed, what lies on it that is not
ours, and whether a Pod that was bound has what it asked for, is known where the agent keeps its state. Nothing is changed here.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mig.migspec import MigMode
from nodeagent.state import GpuRecord, NodeState
from nodeagent.usage import Use

DEPARTING_S: Final = 5.0
"""A slice whose taking away stands still for so long is waited for no more: somebody holds it, or the driver does."""


class NodeView:
    """The questions. `look` reads anew who has what, and says whether everything answered."""

    def __init__(self, state: NodeState, *, look: Callable[[], Awaitable[bool]], clock: Callable[[], float]) -> None:
        self._state = state
        self._look = look
        self._clock = clock
        self._bound: frozenset[str] = frozenset()
        self._bound_at = float("-inf")

    async def look(self) -> bool:
        """Read anew who has what; False where somebody did not answer."""
        return await self._look()

    async def changed(self, seen: int) -> int:
        """Return once something changed after the count `seen`, and the count then."""
        await self._state.changed.beyond(seen)
        return self._state.changed.count

    @property
    def known(self) -> bool:
        """Whether the hardware was read and usage judged since the agent started."""
        return self._state.hardware_known and self._state.looked

    def present(self) -> frozenset[str] | None:
        """The UUIDs of all slices on the hardware, also of those that are not ours; None while a GPU was never read."""
        if not self._state.hardware_known or any(record.gpu is None for record in self._state.gpus.values()):
            return None
        return frozenset(item.uuid for record in self._state.gpus.values() for item in record.instances if item.uuid)

    def uses(self) -> Mapping[str, Use]:
        """Who uses which slice of ours."""
        return self._state.memory.uses

    def changing(self) -> bool:
        """Whether slices are being made or taken away now, or none may be any more since the agent ends."""
        return self._state.farewell is not None or any(
            record.trouble is None and (self._to_make(record) or self._departing(record))
            for record in self._state.gpus.values()
        )

    def pods_without_device(self) -> bool:
        """Whether a Pod is bound here that the kubelet has not admitted yet, and that lacks a slice."""
        return any(
            not pod.finished and not pod.admitted and pod.need(profile) > 0
            for profile in self._state.unserved
            for pod in self._state.pods.values()
        )

    def bound_for_s(self) -> float:
        """For how long no Pod with a slice has come to this node."""
        bound = frozenset(pod.uid for pod in self._state.pods.values() if pod.needs)
        if bound - self._bound:
            self._bound_at = self._clock()
        self._bound = bound
        return self._clock() - self._bound_at

    def cut_up(self) -> tuple[str, ...]:
        """Instances on which NVIDIA's plugin fails: those that are cut into several compute instances."""
        return tuple(
            f"{item.placed.profile} at {item.placed.window.start} of GPU {record.index}"
            for record in self._state.gpus.values()
            for item in record.instances
            if not item.whole
        )

    def _to_make(self, record: GpuRecord) -> bool:
        gpu = record.gpu
        if gpu is None or gpu.mig_mode is not MigMode.ENABLED or record.fault:
            return False
        there = {item.placed for item in record.instances if item.uuid}
        wanted = self._state.wanted(gpu.uuid) or ()
        return any(
            placed not in there and placed not in record.failed and placed not in record.waiting for placed in wanted
        )

    def _departing(self, record: GpuRecord) -> bool:
        return any(self._clock() - departure.since < DEPARTING_S for departure in record.leaving.values())
