"""Turns MIG mode on, where the admin allowed that (`nodeAgent.enableMigMode`) and it disturbs nobody.

Only on a node that is handed over, where it takes no GPU reset (Hopper and newer) and no process uses the GPU; otherwise it
says why not, and looks again. It never turns MIG mode off, and never resets a GPU. Where the driver takes the wish and cannot
fulfil it at once (a GPU passed through to a virtual machine), the wish stays: it is what the admin asked for, comes true with
the next reset, is reported as `PendingReset` until then, and is tried again in case it was a process that came between.
"""

import logging
from collections.abc import Callable
from typing import Final

from mig.migspec import MigMode
from nodeagent.gpus.driver import DriverError, DriverUnavailable, GpuUnavailable, InUse
from nodeagent.gpus.hardware import Hardware
from nodeagent.state import Failure, NodeState
from nodeagent.values import Gpu

log = logging.getLogger(__name__)

LONGEST_PAUSE: Final = 20
"""In tries' worth: a driver that refused will most likely refuse again, until an admin did something about it."""


class MigSwitch:
    """The MIG mode of one GPU. Not `allowed`, it does nothing at all."""

    def __init__(
        self, *, hardware: Hardware, state: NodeState, allowed: bool, retry_s: float, clock: Callable[[], float]
    ) -> None:
        """`retry_s` is the time between two looks whether a process has ended, and the first one after a refusal."""
        self._hardware = hardware
        self._record = hardware.record
        self._state = state
        self._allowed = allowed
        self._retry_s = retry_s
        self._clock = clock
        self._not_before = float("-inf")

    async def advance(self) -> bool:
        """Turn it on if that is possible now; whether the GPU must be read again."""
        gpu, before = self._record.gpu, self._record.switch
        if gpu is None or not self._may(gpu):
            if before is not None:
                self._record.switch = None
                self._state.changed.fire()
            return False
        if self._clock() < self._not_before:
            return False
        try:
            waits_for = await self._hardware.enable_mig(gpu)
        except (GpuUnavailable, DriverUnavailable):
            raise
        except DriverError as error:
            self._stays_off(gpu, str(error), busy=isinstance(error, InUse))
            return False
        if waits_for:
            self._stays_off(
                gpu, f"the driver took the order, and waits for a reset of the GPU ({waits_for})", busy=False
            )
        else:
            log.info("turned MIG mode on", extra={"gpu": gpu.uuid, "index": gpu.index})
            self._not_before = self._clock() + self._retry_s  # even if the driver then says that it is off
        return True

    def next_due(self) -> float:
        """When to try again, by the agent's clock."""
        return self._record.switch.retry_at if self._record.switch else float("inf")

    def _may(self, gpu: Gpu) -> bool:
        """A mode that an admin has just switched off waits for its reset with MIG still on: that is left to him."""
        off = gpu.mig_mode is MigMode.DISABLED or (gpu.mig_mode is MigMode.PENDING_RESET and not gpu.shape.offers)
        return self._allowed and off and self._state.handed_over and self._state.farewell is None

    def _stays_off(self, gpu: Gpu, why: str, *, busy: bool) -> None:
        before, now = self._record.switch, self._clock()
        tries = before.tries + 1 if before else 1
        pause = self._retry_s * (1 if busy else min(2 ** (tries - 1), LONGEST_PAUSE))
        message = f"GPU {gpu.index} ({gpu.uuid}): MIG mode stays off: {why}"
        if before is None or before.message != message:
            log.warning("%s", message)
            self._state.changed.fire()
        self._not_before = now + pause
        self._record.switch = Failure(message, tries, before.since if before else now, now + pause)
