"""The driver's session and the tasks of its GPUs: opened once, and again only after the driver was unavailable.

Opening happens on a thread of its own with a deadline, so a missing, mismatched or hanging driver leaves the agent up, saying
why, until it is mended. While there is no session every record stays as last known. No keeper starts before it is
known what is ours.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from nodeagent.gpus.driver import Driver, DriverError, DriverUnavailable
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.keeper import Keeper
from nodeagent.gpus.workers import Worker
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.state import GpuRecord, NodeState
from nodeagent.trouble import Trouble

log = logging.getLogger(__name__)

START_S: Final = 60.0
"""Without the persistence daemon the first initialisation can take tens of seconds on a full node."""

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 15.0

MakeHardware = Callable[[GpuRecord, Worker], Hardware]
MakeKeeper = Callable[[Hardware], Keeper]


class Session:
    """The eternal task that holds the driver. `keepers` and `hardware` are by GPU index."""

    def __init__(
        self,
        *,
        driver: Driver,
        state: NodeState,
        kubelet: KubeletSide,
        ownership_known: asyncio.Event,
        make_hardware: MakeHardware,
        make_keeper: MakeKeeper,
    ) -> None:
        self._driver = driver
        self._state = state
        self._ownership_known = ownership_known
        self._make_hardware = make_hardware
        self._make_keeper = make_keeper
        self._kubelet = kubelet
        self._starter = Worker("nvml")
        self.keepers: dict[int, Keeper] = {}
        self.hardware: dict[int, Hardware] = {}
        self.workers: dict[int, Worker] = {}

    def wake(self) -> None:
        """Something changed that may let steps be done."""
        for keeper in self.keepers.values():
            keeper.wake()

    async def run(self) -> None:
        """Eternal."""
        await self._ownership_known.wait()
        failures = 0
        while True:
            try:
                await self._open()
                failures = 0
                await self._keep()
            except DriverError as error:
                failures += 1
                self._unavailable(error)
            await asyncio.sleep(min(FIRST_RETRY_S * 2 ** max(failures - 1, 0), LAST_RETRY_S))

    async def _open(self) -> None:
        facts = await self._starter.call(self._driver.start, deadline_s=START_S)
        log.info("the driver answers", extra={"version": facts.version, "gpus": facts.gpu_count})
        self._state.driver = facts
        self._state.driver_trouble = None
        for index in [each for each in self.hardware if each >= facts.gpu_count]:
            self._forget(index)
        for index in range(facts.gpu_count):
            if index not in self.hardware:
                record = self._state.gpus[index] = GpuRecord(index)
                worker = self.workers[index] = Worker(f"nvml-gpu-{index}", on_return=partial(self._returned, index))
                self.hardware[index] = self._make_hardware(record, worker)
                self.keepers[index] = self._make_keeper(self.hardware[index])
        self._state.changed.fire()

    async def _keep(self) -> None:
        """Run a keeper for each GPU until one finds the driver gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for index, keeper in self.keepers.items():
                    keeper.read_again()
                    tasks.create_task(keeper.run(), name=f"gpu-{index}")
        except* DriverUnavailable as group:
            raise DriverUnavailable(str(_first(group))) from group

    def _forget(self, index: int) -> None:
        """The driver counts fewer GPUs than before; those that are left may have moved to other indices, with their slices."""
        log.warning("a GPU is gone", extra={"index": index})
        self.keepers.pop(index).retire()
        self.workers.pop(index).stop()
        del self.hardware[index], self._state.gpus[index]

    def _returned(self, index: int) -> None:
        if keeper := self.keepers.get(index):
            keeper.read_again()

    def _unavailable(self, error: DriverError) -> None:
        trouble = Trouble("DriverUnavailable", str(error))
        if trouble != self._state.driver_trouble:
            log.warning("no driver: %s", error)
            self._state.driver_trouble = trouble
            self._state.changed.fire()
        for record in self._state.gpus.values():
            for device_id in record.devices():
                self._kubelet.withdraw(device_id)  # no container could start on it; running ones are not touched


def _first(group: BaseExceptionGroup[DriverUnavailable]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
