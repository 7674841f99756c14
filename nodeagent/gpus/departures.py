"""Taking slices of one GPU away, in the order of `leaving`, each as far as it can go now.

Nothing here waits for anything: each pass moves every departing slice one step on if its conditions hold, and says when
time alone will make the next one hold. A slice that somebody took meanwhile, or that is wanted again, is offered again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from mig.profiles import Profile
from nodeagent.gpus.driver import DriverError, GpuUnavailable, InUse
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.leaving import DROP_AFTER_S, SETTLE_S, Action, Facts, Stage, next_action
from nodeagent.kubelet.devicenodes import Access
from nodeagent.kubelet.kubeletside import Device, KubeletSide
from nodeagent.state import Departure, Failure, NodeState
from nodeagent.values import Gpu, Instance

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.2
LAST_RETRY_S: Final = 10.0
"""A driver says IN_USE for a few tenths of a second after a process ended; after that it means what it says."""

BLOCKED_AFTER_TRIES: Final = 3
"""From then on, about a second, the status says `ReleaseBlocked`."""

LOOK_AGAIN_S: Final = 0.5

Observe = Callable[[str, str], None]
"""Told of each step: `create`, `complete` or `destroy`, and how it came out."""

Unwanted = Callable[[], Iterable[Instance]]
"""What nobody wants or uses, as of now: the spec may change while a driver's call is waited for."""

Look = Callable[[], Awaitable[bool]]
"""Read PodResources, and this GPU's process list, and judge anew; False where one of them did not answer."""


class HeldBack:
    """The devices of all GPUs that are still healthy and no longer counted; the kubelet's half wants them as one set."""

    def __init__(self, kubelet: KubeletSide) -> None:
        self._kubelet = kubelet
        self._ids: set[str] = set()

    def add(self, device_id: str) -> None:
        """Count it no longer."""
        self._ids.add(device_id)
        self._kubelet.hold_back(frozenset(self._ids))

    def discard(self, device_id: str) -> None:
        """Count it again, if it is offered."""
        self._ids.discard(device_id)
        self._kubelet.hold_back(frozenset(self._ids))


def device_of(gpu: Gpu | None, instance: Instance) -> Device:
    """A slice as the kubelet's half knows it."""
    access = None
    if gpu is not None and gpu.minor is not None and instance.ci is not None:
        access = Access(gpu.minor, instance.gi, instance.ci)
    return Device(
        id=instance.uuid,
        profile=instance.placed.profile,
        gpu=instance.gpu,
        window=instance.placed.window,
        access=access,
    )


class Departures:
    """The departing slices of one GPU."""

    def __init__(
        self,
        *,
        hardware: Hardware,
        state: NodeState,
        kubelet: KubeletSide,
        held_back: HeldBack,
        look: Look,
        clock: Callable[[], float],
        observe: Observe,
    ) -> None:
        self._observe = observe
        self._hardware = hardware
        self._record = hardware.record
        self._state = state
        self._kubelet = kubelet
        self._held_back = held_back
        self._look = look
        self._clock = clock
        self._look_again_at = float("-inf")

    async def advance(self, gpu: Gpu, unwanted: Unwanted) -> bool:
        """Move each on by what can be done now; whether the hardware changed. `unwanted` is asked again before each one's step.

        Once the agent is ending they are only withdrawn, and the hardware stays as it is.
        """
        first = tuple(unwanted())
        leaving = {item.uuid: item for item in first if item.uuid}
        for device_id in [each for each in self._record.leaving if each not in leaving]:
            self._return(device_id)
        looked_at = await self._look_at(leaving.values())
        changed = False
        for item in (*leaving.values(), *(item for item in first if item.half_made)):
            if item in unwanted():
                changed |= await self._one(gpu, item, looked=item.uuid in looked_at)
        return changed

    def next_due(self, *, after: float) -> float:
        """The first time after `after` at which time alone lets something go on, by the agent's clock."""
        settling = [d.since + SETTLE_S for d in self._record.leaving.values() if d.stage is Stage.SHOWN]
        retries = [failure.retry_at for failure in self._record.blocked.values()]
        return min((due for due in (*settling, *retries, self._look_again_at) if due > after), default=float("inf"))

    def forget(self, device_id: str) -> None:
        """Its slice is gone, by us or behind our back: nobody may get it any more, and its id leaves the list later."""
        self._record.leaving.pop(device_id, None)
        self._held_back.discard(device_id)
        self._kubelet.withdraw(device_id)
        asyncio.get_running_loop().call_later(DROP_AFTER_S, self._kubelet.drop, device_id)

    async def _look_at(self, leaving: Iterable[Instance]) -> frozenset[str]:
        """Judge usage anew where somebody's next step depends on it; who they are, if everything answered."""
        steps = (Action.WITHDRAW,) if self._state.farewell else (Action.WITHDRAW, Action.LOOK)
        depending = frozenset(item.uuid for item in leaving if self._action(item, looked=False) in steps)
        if not depending or await self._look():
            return depending
        self._look_again_at = self._clock() + LOOK_AGAIN_S
        return frozenset()

    async def _one(self, gpu: Gpu, item: Instance, *, looked: bool) -> bool:
        blocked = self._record.blocked.get(item.gi)
        if blocked is not None and self._clock() < blocked.retry_at:
            return False
        if item.half_made:
            return await self._destroy(gpu, item)
        action = self._action(item, looked=True)
        if action in (Action.WITHDRAW, Action.LOOK) and not looked:
            return False
        match action:
            case Action.HOLD:
                self._become(item.uuid, Stage.HELD)
                self._held_back.add(item.uuid)
            case Action.SETTLE:
                self._become(item.uuid, Stage.SHOWN)
            case Action.WITHDRAW:
                self._become(item.uuid, Stage.WITHDRAWN)
                self._kubelet.withdraw(item.uuid)
                self._held_back.discard(item.uuid)
            case Action.LOOK:
                return await self._destroy(gpu, item)
            case Action.RETURN:
                self._return(item.uuid)
            case Action.WAIT | Action.NOTHING:
                pass
        return False

    def _action(self, item: Instance, *, looked: bool) -> Action:
        """The next step for one; `looked` is whether usage was judged after its stage's conditions came to hold."""
        departure = self._record.leaving.get(item.uuid)
        profile: Profile = item.placed.profile
        known = self._state.looked and self._record.processes_known
        facts = Facts(
            unwanted=True,
            used=self._state.use(item.uuid) is not None,
            age_s=self._clock() - departure.since if departure else 0.0,
            kubelet_answers=known and self._kubelet.status.reachable,
            count_shown=self._kubelet.counts_published(profile),
            pods_without_device=looked and profile in self._state.unserved,
            offered=item.uuid in self._kubelet.offered_now(),
        )
        return next_action(departure.stage if departure else Stage.PRESENT, facts)

    def _become(self, device_id: str, stage: Stage) -> None:
        self._record.leaving[device_id] = Departure(stage, self._clock())
        self._state.changed.fire()

    def _return(self, device_id: str) -> None:
        """Used or wanted again: as if nothing had been."""
        del self._record.leaving[device_id]
        self._held_back.discard(device_id)
        for item in self._record.ours():
            if item.uuid == device_id:
                self._record.blocked.pop(item.gi, None)
                self._kubelet.offer(device_of(self._record.gpu, item))
        self._state.changed.fire()

    async def _destroy(self, gpu: Gpu, item: Instance) -> bool:
        if self._state.farewell is not None:
            return False
        try:
            await self._hardware.destroy(gpu, item)
        except GpuUnavailable:
            raise
        except DriverError as error:
            self._observe("destroy", type(error).__name__)
            self._blocked(item, error)
            await self._hardware.read()
            return False
        self._observe("destroy", "ok")
        log.info(
            "destroyed", extra={"gpu": gpu.uuid, "profile": item.placed.profile, "start": item.placed.window.start}
        )
        if item.uuid:
            self.forget(item.uuid)
        self._state.changed.fire()
        return True

    def _blocked(self, item: Instance, error: DriverError) -> None:
        before = self._record.blocked.get(item.gi)
        now = self._clock()
        tries = before.tries + 1 if before else 1
        pause = min(FIRST_RETRY_S * 2 ** (tries - 1), LAST_RETRY_S)
        what = "somebody still computes there" if isinstance(error, InUse) else "the driver refuses to destroy it"
        message = f"{what} ({error}); tried {tries} times, next in {pause:.1f} s"
        self._record.blocked[item.gi] = Failure(message, tries, before.since if before else now, now + pause)
        self._state.changed.fire()
