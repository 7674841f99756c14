"""What the agent knows at this moment: the one mutable record, read and written on the event loop alone.

It holds values and answers simple questions about them; whoever decides takes frozen values out of it (`plan.View`,
`usage.Sight`, `report.Facts`), and whoever learns something writes it in here and fires `changed`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from mig.migspec import Claim, Condition, MigSpec
from mig.occupancy import Placed
from mig.profiles import Profile
from nodeagent.gpus.adoption import NOTHING, Adoption
from nodeagent.gpus.leaving import Stage
from nodeagent.gpus.ownership import Entry
from nodeagent.gpus.vanished import Vanished
from nodeagent.pods import PodView
from nodeagent.pulse import Pulse
from nodeagent.trouble import Trouble
from nodeagent.use.usage import Memory, Offered, Use
from nodeagent.values import DriverFacts, Gpu, Instance


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that did not work, how often in a row, since when, and when to try again (the agent's clock, seconds)."""

    message: str
    tries: int
    since: float
    retry_at: float


@dataclass(frozen=True, slots=True)
class Departure:
    """One slice on its way out: how far it has come, and since when."""

    stage: Stage
    since: float


@dataclass(slots=True)
class GpuRecord:
    """One GPU. `gpu` is None until it was read for the first time; afterwards everything is as last known."""

    index: int
    gpu: Gpu | None = None
    instances: tuple[Instance, ...] = ()
    owned: frozenset[int] = frozenset()
    trouble: Trouble | None = None
    fault: str = ""
    waiting: Mapping[Placed, str] = field(default_factory=dict)
    failed: dict[Placed, Failure] = field(default_factory=dict)
    blocked: dict[int, Failure] = field(default_factory=dict)
    leaving: dict[str, Departure] = field(default_factory=dict)
    adopted: frozenset[Placed] = frozenset()
    """Ours since the admin said so, and not in the spec yet: kept until the allocator has taken them in."""
    unjudged: frozenset[str] = frozenset()
    """The UUIDs of those of them of which it is not known yet who uses them: not offered."""
    vanished: dict[Placed, Vanished] = field(default_factory=dict)
    """Slices of ours that went behind our back, by the place where they were."""
    denied: Trouble | None = None
    """That the driver does not let us change anything."""
    switch: Failure | None = None
    """Why MIG mode, which we are to turn on, is still off; `retry_at` says when to try again."""
    kept: frozenset[int] = frozenset()
    """The GI ids of those that stay though the spec does not list them."""
    processes_known: bool = False
    """Whether the driver's process list was read since we started, so that silence means something."""

    def ours(self) -> Iterator[Instance]:
        """The instances that are ours."""
        return (item for item in self.instances if item.gi in self.owned)

    def devices(self) -> frozenset[str]:
        """The UUIDs of our slices that exist."""
        return frozenset(item.uuid for item in self.ours() if item.uuid)


class Farewell(Enum):
    """How far an agent that was told to end has come."""

    ANNOUNCED = auto()
    """It starts no change of the hardware any more; Pods that were let go still get their slices."""
    WITHDRAWING = auto()
    """What nobody uses is offered no more, and the Node counts none of its slices."""
    DONE = auto()


@dataclass(slots=True)
class NodeState:
    """The whole node. `looked` is whether PodResources was read since we started, with the Pods known."""

    node_name: str
    boot_id: str
    driver: DriverFacts | None = None
    driver_trouble: Trouble | None = None
    gpus: dict[int, GpuRecord] = field(default_factory=dict)
    migspec: MigSpec | None = None
    spec_trouble: Trouble | None = None
    pods: dict[str, PodView] = field(default_factory=dict)
    inherited: frozenset[str] | None = None
    """The uids of the Pods that were here when we started; None until they were listed."""
    memory: Memory = field(default_factory=Memory)
    unserved: frozenset[Profile] = frozenset()
    looked: bool = False
    conditions: tuple[Condition, ...] = ()
    farewell: Farewell | None = None
    node_uid: str = ""
    """Of the Node's object; empty until it was seen."""
    lost_at_boot: int | None = None
    """How many slices of ours the last report named, where that was written before a reboot; None where there was none."""
    labelled: bool = False
    """Whether the Node says that it is handed over."""
    adoption: Adoption = NOTHING
    changed: Pulse = field(default_factory=Pulse)

    @property
    def handed_over(self) -> bool:
        """Whether the admin gave us this node, and the allocator has heard of it."""
        return self.labelled and self.migspec is not None

    @property
    def hardware_known(self) -> bool:
        """Whether every GPU that the driver counts was read once, so that a report does not leave one out."""
        return self.driver is not None and all(
            (record := self.gpus.get(index)) is not None and (record.gpu is not None or record.trouble is not None)
            for index in range(self.driver.gpu_count)
        )

    def wanted(self, uuid: str) -> tuple[Placed, ...] | None:
        """The slices that the spec wants on a GPU; None where it does not name that GPU, so that nothing is to be done."""
        named = self.migspec.spec.gpu(uuid) if self.migspec else None
        return tuple(item.placed for item in named.slices) if named else None

    def missed(self, record: GpuRecord, entries: Iterable[Entry], *, now: float) -> None:
        """Note that slices of ours went behind our back, with who used them."""
        for entry in entries:
            record.vanished[entry.placed] = Vanished(entry.uuid, now, self.use(entry.uuid))

    def use(self, device_id: str) -> Use | None:
        """Who uses one of our slices."""
        return self.memory.uses.get(device_id) if device_id else None

    def offered(self) -> tuple[Offered, ...]:
        """Our slices that exist, with their claims, for `usage.judge`."""
        claims = self._claims()
        return tuple(
            Offered(item.uuid, item.placed.profile, claims.get((item.gpu, item.placed)))
            for record in self.gpus.values()
            for item in record.ours()
            if item.uuid
        )

    def exists(self, device_id: str) -> bool:
        """Whether one of our slices has this UUID."""
        return any(device_id in record.devices() for record in self.gpus.values())

    def _claims(self) -> dict[tuple[str, Placed], Claim]:
        if self.migspec is None:
            return {}
        return {(gpu.uuid, item.placed): claim for gpu, item, claim in self.migspec.spec.claims()}
