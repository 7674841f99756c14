"""What the half that stands beside NVIDIA's device plugin asks of the agent: questions about the node's state, answered.

Why apart: the kubelet's side knows slices by their ids alone. Whether hardware is being changed, what lies on it that is not
ours, and whether a Pod that was bound has what it asked for, is known where the agent keeps its state. Nothing is changed here.
"""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from mig.migspec import MigMode
from nodeagent.nvidia.entries import Entry
from nodeagent.state import GpuRecord, NodeState
from nodeagent.use.usage import Use

MAKING_S: Final = 60.0
"""A slice whose making stands still for so long is waited for no more: twice the time that a call to the driver gets."""

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
        self._ever_seen: frozenset[str] = frozenset()
        self._making_since: float | None = None

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

    def present(self, listed: AbstractSet[Entry]) -> frozenset[Entry] | None:
        """All slices on the hardware, as NVIDIA's plugin would list them; None while a GPU was never read.

        Also those that are not ours. Of an instance that holds several compute instances none is read. Where there is one, what
        is listed and was never seen is taken to be there.
        """
        if not self._state.hardware_known or any(record.gpu is None for record in self._state.gpus.values()):
            return None
        seen = frozenset(
            Entry(item.placed.profile.resource, item.uuid)
            for record in self._state.gpus.values()
            for item in record.instances
            if item.uuid
        )
        self._ever_seen |= {entry.device_id for entry in seen}
        unread = frozenset(entry for entry in listed if entry.device_id not in self._ever_seen)
        return seen | unread if self.cut_up() else seen

    def uses(self) -> Mapping[str, Use]:
        """Who uses which slice of ours."""
        return self._state.memory.uses

    def changing(self) -> bool:
        """Whether slices are being made or taken away now, or none may be any more since the agent ends."""
        well = [record for record in self._state.gpus.values() if record.trouble is None]
        return (
            self._state.farewell is not None
            or self._making(any(self._to_make(record) for record in well))
            or any(self._departing(record) for record in well)
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

    def _making(self, now: bool) -> bool:  # noqa: FBT001 - the one thing that is told
        """Whether something is to be made, and has been for no longer than that may take."""
        if not now:
            self._making_since = None
        elif self._making_since is None:
            self._making_since = self._clock()
        return self._making_since is not None and self._clock() - self._making_since < MAKING_S

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
