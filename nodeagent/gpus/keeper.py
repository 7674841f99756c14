"""Keeps one GPU as the spec wants it: reads it, plans, makes, takes away, and tries again what failed.

One task a GPU, so a GPU that hangs delays no other. Each pass plans from what is known now and does the steps that are
possible; whatever may make more possible wakes it: a new spec, a Pod, the kubelet, a call that returned late, or time. With
no spec, an unnamed GPU, a spec that cannot exist, or a driver that does not answer, the hardware is left as it is.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from mig.migspec import MigMode
from mig.occupancy import Placed
from nodeagent.gpus.departures import Departures, Observe, device_of
from nodeagent.gpus.driver import DriverError, DriverSilent, DriverUnavailable, GpuUnavailable, LeftBehind, NotPermitted
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.migmode import MigSwitch
from nodeagent.gpus.plan import Plan, View, plan
from nodeagent.gpus.takeover import Takeover
from nodeagent.gpus.vanished import still_told
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.pulse import Pulse
from nodeagent.state import Failure, Farewell, NodeState
from nodeagent.trouble import SILENT, Trouble
from nodeagent.values import Gpu, Instance

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 60.0


class Keeper:
    """The task of one GPU."""

    def __init__(
        self,
        *,
        hardware: Hardware,
        departures: Departures,
        takeover: Takeover,
        switch: MigSwitch,
        state: NodeState,
        kubelet: KubeletSide,
        announced: Callable[[], Awaitable[bool]],
        on_read: Callable[[], None],
        clock: Callable[[], float],
        observe: Observe,
        resync_s: float,
    ) -> None:
        """`announced` waits until our report says what we are about to make, where the ledger cannot, and whether it does.

        `on_read` is called after each reading of the whole GPU; `resync_s` is how late a change behind our back is noticed at most.
        """
        self._hardware = hardware
        self._record = hardware.record
        self._departures = departures
        self._takeover = takeover
        self._switch = switch
        self._state = state
        self._kubelet = kubelet
        self._announced = announced
        self._on_read = on_read
        self._clock = clock
        self._observe = observe
        self._resync_s = resync_s
        self._pulse = Pulse()
        self._read_at = float("-inf")
        self._offered: frozenset[str] = frozenset()
        self._failures = 0

    def wake(self) -> None:
        """Something changed that may let a step be done."""
        self._pulse.fire()

    def read_again(self) -> None:
        """What we believe of the hardware may be wrong."""
        self._read_at = float("-inf")
        self._pulse.fire()

    def retire(self) -> None:
        """The GPU is gone: what it had is offered no more, unless another keeper finds it elsewhere."""
        for device_id in self._offered:
            self._departures.forget(device_id)

    async def run(self) -> None:
        """Eternal. Ends only by `DriverUnavailable`, after which the whole session must be opened anew."""
        while True:
            seen, began = self._pulse.count, self._clock()
            try:
                await self._pass()
            except DriverUnavailable:
                raise
            except DriverError as error:
                self._in_trouble(error)
            pause = self._next_due(after=began) - self._clock()
            await self._pulse.beyond_or_after(seen, max(pause, 0.0))

    async def _pass(self) -> None:
        if self._hardware.silent:
            return  # it tells by `read_again` when it returns
        if self._clock() >= self._read_at:
            await self._read()
        if self._record.trouble is not None:
            return
        if self._state.farewell is None and await self._switch.advance():
            await self._read()
        if await self._takeover.advance():
            self._sync_offers()
        changed = False
        while (gpu := self._record.gpu) is not None:
            if self._state.farewell is not None:
                await self._departures.advance(gpu, self._ending)
                break
            made = await self._make(gpu, self._plan(gpu))
            gone = await self._departures.advance(gpu, self._unwanted)
            if not made and not gone:
                break
            changed = True
        if changed:
            await self._hardware.settle()

    async def _read(self) -> None:
        await self._hardware.read()
        self._read_at = self._clock() + self._resync_s
        self._failures = 0
        self._record.trouble = None
        if not self._record.failed:
            self._record.denied = None  # nothing that we are to do is refused any more
        self._record.vanished = still_told(self._record.vanished, pods=self._state.pods, now=self._clock())
        self._sync_offers()
        self._on_read()
        self._state.changed.fire()

    def _plan(self, gpu: Gpu) -> Plan:
        """What to do now; the record learns why the rest must wait."""
        record = self._record
        wanted = self._state.wanted(gpu.uuid)
        if wanted is None or gpu.mig_mode is not MigMode.ENABLED:
            todo = Plan(waiting=dict.fromkeys(wanted or (), f"MIG mode is {gpu.mig_mode.value}"))
        else:
            used = frozenset(item.gi for item in record.ours() if self._state.use(item.uuid))
            spared = frozenset(item.gi for item in record.ours() if item.placed in record.adopted)
            todo = plan(View(gpu.shape, wanted, record.instances, record.owned, used, spared))
        for placed in [each for each in record.failed if each not in (wanted or ()) or each in todo.waiting]:
            del record.failed[placed]  # not wanted any more, or a reading has shown what is in its way
        if (todo.waiting, todo.fault, todo.kept) != (record.waiting, record.fault, record.kept):
            record.waiting, record.fault, record.kept = todo.waiting, todo.fault, todo.kept
            self._state.changed.fire()
        return todo

    def _unwanted(self) -> tuple[Instance, ...]:
        """What is on its way out, by the spec of now: making takes long, and so does looking who uses what."""
        gpu = self._record.gpu
        return self._plan(gpu).remove if gpu else ()

    def _ending(self) -> tuple[Instance, ...]:
        """What is taken from the kubelet before the agent ends: what was on its way out, and then all that nobody uses."""
        unwanted = self._unwanted()
        if self._state.farewell is Farewell.ANNOUNCED:
            return unwanted
        return tuple(item for item in self._record.ours() if not self._state.use(item.uuid))

    async def _make(self, gpu: Gpu, todo: Plan) -> bool:
        """Do one making step, so that a newer spec is heeded before the next; whether one was done."""
        half = next((item for item in todo.complete if self._may_try(item.placed)), None)
        if half is not None:
            return await self._try("complete", half.placed, lambda: self._hardware.complete(gpu, half))
        create = [placed for placed in todo.create if self._may_try(placed)]
        if not create:
            return False
        await self._hardware.intend(gpu, create)
        if not await self._announced() or self._state.farewell is not None:
            return False
        return await self._try("create", create[0], lambda: self._hardware.create(gpu, create[0]))

    async def _try(self, step: str, placed: Placed, make: Callable[[], Awaitable[object]]) -> bool:
        began = self._clock()
        try:
            await make()
        except DriverError as error:
            self._observe(step, type(error).__name__)
            if isinstance(error, GpuUnavailable | DriverUnavailable):
                raise  # no fault of this slice
            self._failed(placed, error)
            await self._read()
            return True
        self._observe(step, "ok")
        self._record.failed.pop(placed, None)
        self._record.denied = None
        log.info(
            "%sd",
            step,
            extra={
                "gpu": self._record.index,
                "profile": placed.profile,
                "start": placed.window.start,
                "seconds": round(self._clock() - began, 3),
            },
        )
        self._sync_offers()
        self._state.changed.fire()
        return True

    def _may_try(self, placed: Placed) -> bool:
        failure = self._record.failed.get(placed)
        return failure is None or self._clock() >= failure.retry_at

    def _failed(self, placed: Placed, error: DriverError) -> None:
        before = self._record.failed.get(placed)
        now = self._clock()
        tries = before.tries + 1 if before else 1
        pause = min(FIRST_RETRY_S * 2 ** (tries - 1), LAST_RETRY_S)
        message = f"could not be made: {error}; tried {tries} times, next in {pause:.0f} s"
        self._record.failed[placed] = Failure(message, tries, before.since if before else now, now + pause)
        if isinstance(error, NotPermitted):
            self._record.denied = Trouble("NoPermission", f"GPU {self._record.index}: {error}")
        log.warning("%s", message, extra={"gpu": self._record.index, "profile": placed.profile})
        self._state.changed.fire()

    def _in_trouble(self, error: DriverError) -> None:
        """The GPU does not answer, or every try of a reading failed: leave it alone, say so, and ask again later."""
        if isinstance(error, LeftBehind):
            self._read_at = float("-inf")
            return
        self._failures += 1
        self._read_at = self._clock() + min(FIRST_RETRY_S * 2 ** (self._failures - 1), self._resync_s)
        gpu = self._record.gpu
        where = f"GPU {self._record.index}" + (f" ({gpu.uuid})" if gpu else "")
        reason = SILENT if isinstance(error, DriverSilent) else "GpuUnavailable"
        trouble = Trouble(reason, f"{where}: {error}")
        if trouble != self._record.trouble:
            log.warning("%s", trouble.message)
            self._record.trouble = trouble
        if reason == "GpuUnavailable":
            for device_id in self._record.devices():
                self._kubelet.withdraw(device_id)
        self._state.changed.fire()

    def _sync_offers(self) -> None:
        """Offer the kubelet exactly our slices that exist; what is on its way out is left to `departures`."""
        devices = {item.uuid: device_of(self._record.gpu, item) for item in self._record.ours() if item.uuid}
        for device_id, device in devices.items():
            if device_id not in self._record.leaving and device_id not in self._record.unjudged:
                self._kubelet.offer(device)
        for device_id in self._offered - devices.keys():
            if not self._state.exists(device_id):  # else its GPU is counted at another index now, by another keeper
                self._departures.forget(device_id)
        self._offered = frozenset(devices)

    def _next_due(self, *, after: float) -> float:
        """When time alone makes another pass worth while. What was due at `after` has been tried in the pass that began then."""
        if self._hardware.silent:
            return float("inf")
        if self._record.trouble:
            return self._read_at
        retries = (failure.retry_at for failure in self._record.failed.values())
        dues = (self._departures.next_due(after=after), self._switch.next_due(), *retries)
        return min((self._read_at, *(due for due in dues if due > after)))
