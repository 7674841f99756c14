"""Keeps the knowledge of who uses which slice fresh.

Reads the kubelet's PodResources and the driver's process lists when something may have changed it: a Pod, an Allocate, somebody's
order to `look`, and a slow resync; while something is about to end, every half second, for a bounded time. What a reading
means is judged in `usage`. Readings never overlap.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from mig.profiles import Profile
from nodeagent.gpus.driver import DriverError
from nodeagent.gpus.hardware import Hardware
from nodeagent.kubelet.kubeletside import Assignment, KubeletError, KubeletSide
from nodeagent.pulse import Pulse
from nodeagent.state import NodeState
from nodeagent.use.usage import Judgement, Memory, Sight, judge
from nodeagent.values import Processes

log = logging.getLogger(__name__)

COALESCE_S: Final = 0.05
RESYNC_S: Final = 20.0
SOON_S: Final = 0.5
SOON_FOR_S: Final = 60.0
"""A Pod's grace period is 30 s; what takes longer than a minute to end is noticed within `LATER_S`."""
LATER_S: Final = 5.0
RETRY_S: Final = 1.0


class Looker:
    """The one task that judges usage, and the way to have it judged now."""

    def __init__(
        self,
        *,
        state: NodeState,
        kubelet: KubeletSide,
        hardware: Mapping[int, Hardware],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._kubelet = kubelet
        self._hardware = hardware
        self._clock = clock
        self._pulse = Pulse()
        self._reading = asyncio.Lock()
        self._unsettled_since: float | None = None
        self._handed_out: Mapping[str, float] = {}
        self._due_at: dict[int, float] = {}

    def wake(self) -> None:
        """Pods or the hardware changed: look at the next occasion."""
        self._pulse.fire()

    def handed_out(self) -> None:
        """The kubelet's half changed: where a device was handed out it counts as used from now on."""
        handed_out = self._kubelet.handed_out()
        if handed_out != self._handed_out:
            self._handed_out = dict(handed_out)
            self._take(judge(self._state.offered(), self._sight(None, {}, self._clock()), self._state.memory))
            self._pulse.fire()

    def prefer_claimed(self) -> None:
        """Tell the kubelet's half which devices to hand out first: claimed ones that nobody has yet.

        The kubelet names no Pod when it asks, but it admits Pods in the order in which they were bound, which is the order in
        which we saw them: so most get the very slice of their claim, and few claims have to follow.
        """
        arrival = {uid: number for number, uid in enumerate(self._state.pods)}
        last = len(arrival)
        waiting = [
            (arrival.get(item.claim.uid, last), item)
            for item in self._state.offered()
            if item.claim is not None and item.device_id not in self._state.memory.uses
        ]
        claimed: dict[Profile, list[str]] = {}
        for _, item in sorted(waiting, key=lambda each: each[0]):
            claimed.setdefault(item.profile, []).append(item.device_id)
        self._kubelet.book_preference(claimed)

    async def run(self) -> None:
        """Eternal."""
        while True:
            seen, now = self._pulse.count, self._clock()
            due = [
                index for index, each in self._hardware.items() if not _silence_means(each) or self._due(index) <= now
            ]
            answered = await self.look(due)
            await self._pulse.beyond_or_after(seen, self._pause(answered=answered))
            await asyncio.sleep(COALESCE_S)

    async def look(self, gpus: Collection[int] = ()) -> bool:
        """Read and judge now; the process lists of `gpus` in any case, those of others where a use seems to end.

        False where the kubelet or one of `gpus` did not answer; then what was used stays used. That another one does not answer
        where a use seems to end keeps that use, and says nothing against the answers of those that were asked for.
        """
        if self._state.inherited is None:
            return False  # the Pods are not known yet: PodResources would name holders that nobody can tell apart
        async with self._reading:
            knew, asked_at = self._knows(), self._clock()
            assignments = await self._assignments()
            asked = await self._pids(gpus)
            judgement = judge(self._state.offered(), self._sight(assignments, asked, asked_at), self._state.memory)
            ending = {index for index in self._owners(judgement.ended) if index not in gpus}
            if ending:
                pids = asked | await self._pids(ending)
                judgement = judge(self._state.offered(), self._sight(assignments, pids, asked_at), self._state.memory)
            self._take(judgement)
            self._state.looked = self._state.looked or assignments is not None
            if self._knows() != knew:
                self._state.changed.fire()
            return assignments is not None and None not in asked.values()

    def _knows(self) -> tuple[bool, int]:
        """What reports and departures wait for after a start: PodResources was read once, and so many GPUs' process lists."""
        return self._state.looked, sum(each.record.processes_known for each in self._hardware.values())

    def _sight(
        self, assignments: tuple[Assignment, ...] | None, pids: Mapping[str, tuple[int, ...] | None], asked_at: float
    ) -> Sight:
        return Sight(
            now=self._clock(),
            asked_at=asked_at,
            pods=tuple(self._state.pods.values()),
            assignments=assignments,
            handed_out=self._kubelet.handed_out(),
            pids=pids,
            inherited=self._state.inherited or frozenset(),
        )

    async def _assignments(self) -> tuple[Assignment, ...] | None:
        try:
            return tuple(await self._kubelet.assigned_now())
        except KubeletError as error:
            log.debug("%s", error)
            return None

    async def _pids(self, gpus: Collection[int]) -> dict[str, tuple[int, ...] | None]:
        """The processes by device id, None where a GPU did not answer; all GPUs at once, since each has its own thread."""
        wanted = [self._hardware[index] for index in gpus if index in self._hardware]
        async with asyncio.TaskGroup() as tasks:
            reads = [(each, tasks.create_task(self._processes(each))) for each in wanted]
        found: dict[str, tuple[int, ...] | None] = {}
        for each, read in reads:
            processes = read.result()
            for item in each.record.ours():
                if item.uuid:
                    found[item.uuid] = None if processes is None else processes.get(item.gi, ())
        return found

    async def _processes(self, hardware: Hardware) -> Processes | None:
        if hardware.record.gpu is not None and not hardware.record.instances:
            hardware.record.processes_known = True
            processes: Processes = {}
        else:
            try:
                processes = await hardware.processes()
            except DriverError as error:
                log.debug("%s", error)
                return None
        self._due_at[hardware.record.index] = self._clock() + RESYNC_S
        return processes

    def _due(self, index: int) -> float:
        """When a GPU is to be asked though nothing happened: each by its own last answer, so that a silent one hastens no other."""
        return self._due_at.get(index, float("-inf"))

    def _owners(self, device_ids: Collection[str]) -> set[int]:
        return {index for index, each in self._hardware.items() if not each.record.devices().isdisjoint(device_ids)}

    def _take(self, judgement: Judgement) -> None:
        state = self._state
        changed = _told(state.memory) != _told(judgement.memory) or state.unserved != judgement.unserved
        state.memory, state.unserved = judgement.memory, judgement.unserved
        self._kubelet.mark_in_use(judgement.memory.uses.keys())
        for device_id in judgement.released:
            self._kubelet.forget_handout(device_id)
        self._handed_out = dict(self._kubelet.handed_out())
        self.prefer_claimed()
        if not judgement.unsettled:
            self._unsettled_since = None
        elif self._unsettled_since is None or changed:
            self._unsettled_since = self._clock()
        if changed:
            state.changed.fire()

    def _pause(self, *, answered: bool) -> float:
        """How long nothing needs to be looked at, if nothing happens."""
        now = self._clock()
        resync_at = min((self._due(index) for index in self._hardware), default=now + RESYNC_S)
        until_resync = max(resync_at - now, RETRY_S)
        if not answered:
            return RETRY_S
        if self._unsettled_since is None:
            return until_resync
        return min(SOON_S if now - self._unsettled_since < SOON_FOR_S else LATER_S, until_resync)


def _silence_means(hardware: Hardware) -> bool:
    return hardware.record.processes_known or hardware.record.gpu is None


def _told(memory: Memory) -> Mapping[str, object]:
    """What of the memory others see: who uses what, not when it was last confirmed."""
    return {device_id: (use.source, use.holder, use.pids) for device_id, use in memory.uses.items()}
