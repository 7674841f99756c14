"""An agent's session on GPUs that a test gives it, beside a kubelet's side that only keeps book.

The driver and the kubelet are models; everything in between is the agent's own.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from mig.migspec import MigMode
from mig.profiles import Profile
from nodeagent.gpus.departures import Departures, HeldBack
from nodeagent.gpus.driver import DriverUnavailable, GpuUnavailable, Refused
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.keeper import Keeper
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.migmode import MigSwitch
from nodeagent.gpus.session import Session
from nodeagent.gpus.takeover import Takeover
from nodeagent.gpus.workers import Worker
from nodeagent.kubelet.kubeletside import KubeletStatus
from nodeagent.kubelet.offers import Device
from nodeagent.kubelet.podresources import Assignment
from nodeagent.state import NodeState
from nodeagent.values import DriverFacts, Gpu, Instance, Processes
from tests.support.instances import placed
from tests.support.shapes import shapes

RESYNC_S = 0.05
ONE = placed("1g.10gb@0+1")


@dataclass
class Rack:
    """A driver's GPUs in the order in which it counts them, one slice on each; nothing can be changed."""

    gpus: list[str]
    loaded: bool = True
    lost: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    """How often for the processes on a GPU."""

    def start(self) -> DriverFacts:
        """Count them."""
        self._answer()
        return DriverFacts("580", len(self.gpus))

    def gpu(self, index: int) -> Gpu:
        """The one that has this index now."""
        self._answer()
        return Gpu(self.gpus[index], index, "NVIDIA A100-SXM4-80GB", MigMode.ENABLED, shapes()["a100-80gb"])

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """Its slice."""
        return (Instance(gpu.uuid, 1, ONE, slice_of(gpu.uuid)),)

    def create(self, gpu: Gpu, placed: Any) -> Instance:
        """No."""
        raise Refused(f"{placed} on {gpu}")

    def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """No."""
        raise Refused(f"{instance} on {gpu}")

    def destroy(self, gpu: Gpu, instance: Instance) -> None:
        """No."""
        raise Refused(f"{instance} on {gpu}")

    def enable_mig(self, gpu: Gpu) -> str:
        """No."""
        raise Refused(str(gpu))

    def processes(self, gpu: Gpu) -> Processes:
        """Nobody."""
        self._answer()
        assert gpu.uuid in self.gpus
        self.asked[gpu.uuid] += 1
        if gpu.uuid in self.lost:
            raise GpuUnavailable(f"{gpu.uuid} is lost")
        return {}

    def _answer(self) -> None:
        if not self.loaded:
            raise DriverUnavailable("not loaded")


@dataclass
class Book:
    """What is offered, as a kubelet's side knows it; nobody takes anything."""

    healthy: set[str] = field(default_factory=set)
    status: KubeletStatus = field(default_factory=lambda: KubeletStatus(reachable=True, troubles=()))
    unoffered: str = ""

    async def run(self) -> None:
        """Nothing to keep."""

    def offer(self, device: Device) -> None:
        """Healthy."""
        self.healthy.add(device.id)

    def withdraw(self, device_id: str) -> None:
        """Not healthy."""
        self.healthy.discard(device_id)

    def drop(self, device_id: str) -> None:
        """Nothing is listed here."""

    def hold_back(self, device_ids: AbstractSet[str]) -> None:
        """Nothing is counted here."""

    def book_preference(self, claimed: Mapping[Profile, Sequence[str]]) -> None:
        """Nothing is handed out here."""

    def mark_in_use(self, device_ids: AbstractSet[str]) -> None:
        """Nothing is handed out here."""

    def handed_out(self) -> Mapping[str, float]:
        """Nothing."""
        return {}

    def forget_handout(self, device_id: str) -> None:
        """Nothing is handed out here."""

    def offered_now(self) -> frozenset[str]:
        """What is healthy."""
        return frozenset(self.healthy)

    async def assigned_now(self) -> Sequence[Assignment]:
        """Nobody has anything."""
        return ()

    def node_seen(self, node: Mapping[str, Any]) -> None:
        """Nothing is counted here."""

    def counts_published(self, profile: Profile) -> bool:
        """Nothing is counted here."""
        return bool(profile)

    def ready_now(self) -> frozenset[str]:
        """What is healthy."""
        return frozenset(self.healthy)


def slice_of(gpu: str) -> str:
    """The UUID of the slice on a GPU."""
    return f"MIG-on-{gpu}"


async def _yes() -> bool:
    return True


def session_on(rack: Rack, book: Book, state: NodeState, ledger: Ledger) -> Session:
    """A session with the agent's own keepers."""
    known = asyncio.Event()
    known.set()

    def make_hardware(record: Any, worker: Worker) -> Hardware:
        return Hardware(record=record, driver=rack, worker=worker, ledger=ledger)

    def make_keeper(hardware: Hardware) -> Keeper:
        def observe(_step: str, _outcome: str) -> None:
            return None

        departures = Departures(
            hardware=hardware,
            state=state,
            kubelet=book,
            held_back=HeldBack(book),
            look=_yes,
            clock=time.monotonic,
            observe=observe,
        )
        switch = MigSwitch(hardware=hardware, state=state, allowed=False, retry_s=RESYNC_S, clock=time.monotonic)
        return Keeper(
            hardware=hardware,
            departures=departures,
            takeover=Takeover(hardware=hardware, state=state, look=_yes),
            switch=switch,
            state=state,
            kubelet=book,
            announced=_yes,
            on_read=lambda: None,
            clock=time.monotonic,
            observe=observe,
            resync_s=RESYNC_S,
        )

    return Session(
        driver=rack,
        state=state,
        kubelet=book,
        ownership_known=known,
        make_hardware=make_hardware,
        make_keeper=make_keeper,
    )
