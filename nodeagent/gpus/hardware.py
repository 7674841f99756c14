"""One GPU's hardware as the agent's other rooms see it: the driver's calls with their deadlines, and the record kept true.

Each method makes a call on the GPU's own thread and writes what it learnt into the GPU's record and, where it concerns
ownership, into the ledger. An intent is on disk before an instance is made; the entry goes once the instance is gone.
Deciding what to do is not done here.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from mig.occupancy import Placed
from nodeagent.gpus.driver import Driver, DriverError, DriverSilent, DriverUnavailable, GpuUnavailable, LeftBehind
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.ownership import Entry, owned_among, settled
from nodeagent.gpus.vanished import missing
from nodeagent.gpus.workers import Worker
from nodeagent.state import GpuRecord
from nodeagent.values import Gpu, Instance, Processes

log = logging.getLogger(__name__)

READ_S: Final = 20.0
"""Discovery makes some hundred calls of well under a millisecond; the first after a driver start can take seconds."""

READS: Final = 3
"""In a row that must fail before a GPU that answers counts as one that does not: its slices are withdrawn then."""

CHANGE_S: Final = 30.0
"""Making or destroying takes 0.2 to 0.6 s. A driver that needs 50 times that hangs."""

MIG_MODE_S: Final = 60.0
"""The driver may unbind the device and initialise it anew, which takes as long as its first initialisation."""

PROCESSES_S: Final = 5.0
TURN_S: Final = 0.2
"""Process lists are wanted for the whole node: a GPU at work is asked another time instead of holding up the others."""


class Hardware:
    """One GPU through its worker. Raises `DriverError` as the driver does."""

    def __init__(
        self,
        *,
        record: GpuRecord,
        driver: Driver,
        worker: Worker,
        ledger: Ledger,
        on_missing: Callable[[tuple[Entry, ...]], None] = lambda _: None,
        change_s: float = CHANGE_S,
    ) -> None:
        """`on_missing` is told, before anybody acts on it, what a reading misses of ours that we did not take away.

        `change_s` is how long making or destroying one instance may take before the GPU counts as silent.
        """
        self.record = record
        self._on_missing = on_missing
        self._taken_away: set[str] = set()
        self._driver = driver
        self._worker = worker
        self._ledger = ledger
        self._change_s = change_s

    @property
    def silent(self) -> bool:
        """Whether a call was given up and still runs."""
        return self._worker.silent

    async def read(self) -> None:
        """Discover the GPU and what is on it, and see what of that is ours. Raises only after `READS`, if the GPU answers."""
        index = self.record.index
        gpu, instances = await self._worker.call(self._discover, deadline_s=READ_S)
        record = self.record
        if record.gpu is not None and record.gpu.uuid != gpu.uuid:
            log.warning("another GPU is in place", extra={"index": index, "was": record.gpu.uuid, "is": gpu.uuid})
            record.failed.clear()
            record.blocked.clear()
        if record.gpu != gpu:  # what the last plan said was said of a GPU that could be cut otherwise
            record.waiting, record.fault, record.kept = {}, "", frozenset()
        record.gpu, record.instances = gpu, instances
        by_us = self._taken_away | record.leaving.keys()
        if gone := missing(self._ledger.entries, instances, gpu=gpu.uuid, by_us=by_us):
            log.warning("gone behind our back: %s", ", ".join(entry.uuid for entry in gone), extra={"gpu": gpu.uuid})
            self._on_missing(gone)
        await self.settle()

    async def settle(self) -> None:
        """Bring ledger and record together: what of the instances is ours, and which entries stand for nothing."""
        record = self.record
        if record.gpu is None:
            return
        entries = settled(self._ledger.entries, {record.gpu.uuid: record.instances})
        record.owned = frozenset(item.gi for item in owned_among(record.instances, entries))
        await self._ledger.settle(entries)
        self._taken_away.clear()

    async def intend(self, gpu: Gpu, places: Iterable[Placed]) -> None:
        """Write down what is going to be made."""
        await self._ledger.intend(gpu.uuid, places)

    async def adopt(self, instances: Iterable[Instance]) -> None:
        """Make instances ours that others made: written down first, ours then."""
        found = tuple(instances)
        await self._ledger.adopt(Entry(item.gpu, item.placed, item.uuid) for item in found)
        self.record.owned |= {item.gi for item in found}

    async def create(self, gpu: Gpu, placed: Placed) -> Instance:
        """Make one instance whose intent is written down. On failure the record is as fresh as can be."""
        try:
            instance = await self._worker.call(lambda: self._driver.create(gpu, placed), deadline_s=self._change_s)
        except (DriverSilent, LeftBehind):
            raise  # something may be there: the intent stays until a reading tells
        except DriverError:
            await self._ledger.forget(gpu.uuid, placed)
            raise
        self._put(instance)
        return instance

    async def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """Fill a half-made instance. Its compute instance may come with another UUID than the one that was there before."""
        await self._ledger.intend(gpu.uuid, [instance.placed])
        whole = await self._worker.call(lambda: self._driver.complete(gpu, instance), deadline_s=self._change_s)
        self._put(whole)
        return whole

    async def destroy(self, gpu: Gpu, instance: Instance) -> None:
        """Take one instance away."""
        self._taken_away.add(instance.uuid)
        await self._worker.call(lambda: self._driver.destroy(gpu, instance), deadline_s=self._change_s)
        record = self.record
        record.instances = tuple(item for item in record.instances if item.gi != instance.gi)
        record.owned -= {instance.gi}
        record.blocked.pop(instance.gi, None)

    async def enable_mig(self, gpu: Gpu) -> str:
        """Turn MIG mode on; what it still waits for, empty where it is in force."""
        return await self._worker.call(lambda: self._driver.enable_mig(gpu), deadline_s=MIG_MODE_S)

    async def processes(self) -> Processes:
        """Who computes on it now. Raises `DriverBusy` rather than wait for other calls."""
        gpu = self.record.gpu
        if gpu is None:
            raise GpuUnavailable(f"GPU {self.record.index} has not been read yet")
        found = await self._worker.call(lambda: self._driver.processes(gpu), deadline_s=PROCESSES_S, turn_s=TURN_S)
        self.record.processes_known = True
        return found

    def _discover(self) -> tuple[Gpu, tuple[Instance, ...]]:
        """Ask the driver for everything, once more where it said no: somebody may have changed it between two of our calls."""
        for _ in range(READS - 1):
            try:
                return self._discover_once()
            except (GpuUnavailable, DriverUnavailable):
                raise
            except DriverError as error:
                log.info("read again at once: %s", error, extra={"gpu": self.record.index})
        return self._discover_once()

    def _discover_once(self) -> tuple[Gpu, tuple[Instance, ...]]:
        gpu = self._driver.gpu(self.record.index)
        return gpu, self._driver.instances(gpu)

    def _put(self, instance: Instance) -> None:
        record = self.record
        others = tuple(item for item in record.instances if item.gi != instance.gi)
        record.instances = tuple(sorted((*others, replace(instance)), key=lambda item: item.placed))
        record.owned |= {instance.gi}
