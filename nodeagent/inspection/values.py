"""What an inspection is made of, and what it comes to: frozen values.

A source that gave no answer is `Unread`, with the reason; it is never taken for an empty one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mig.migspec import MigSpec, SpecSlice, StatusSlice
from mig.occupancy import Placed
from nodeagent.gpus.ledger import Stored
from nodeagent.gpus.ownership import Entry
from nodeagent.kubelet.counts import Counts
from nodeagent.pods import PodView
from nodeagent.values import Gpu, Instance, Processes

AGREE: Final = 0
DIFFER: Final = 1
INCOMPLETE: Final = 2
"""Exit statuses. A source that cannot be read weighs more than a difference: there may be more."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A source that gave no answer, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU as the driver shows it now."""

    gpu: Gpu
    instances: tuple[Instance, ...]
    processes: Processes


@dataclass(frozen=True, slots=True)
class DriverReading:
    """The driver's version, and its GPUs by index; one that does not answer is unread alone."""

    version: str
    gpus: Mapping[int, GpuReading | Unread]


@dataclass(frozen=True, slots=True)
class Holding:
    """One device of one container, from the kubelet's checkpoint. The Pod may be gone: it is forgotten at a later allocation."""

    pod_uid: str
    container: str
    device_id: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that was asked. `migspec` is None where there is none; `pods` are those bound here, by uid."""

    node: str
    boot_id: str
    driver: DriverReading | Unread
    migspec: MigSpec | Unread | None
    counts: Counts | Unread
    pods: Mapping[str, PodView] | Unread
    ledger: Stored | Unread
    offered: Mapping[str, frozenset[str]] | Unread
    """Healthy device ids by resource, as the kubelet would allocate them."""
    holdings: tuple[Holding, ...] | Unread
    beside_nvidia: bool = False
    """NVIDIA's device plugin is meant to offer the slices, foreign ones too."""

    def unread(self) -> Iterator[tuple[str, str]]:
        """What gave no answer, and why."""
        for name, source in (
            ("driver", self.driver),
            ("MigSpec", self.migspec),
            ("Node", self.counts),
            ("Pods", self.pods),
            ("ledger", self.ledger),
            ("kubelet, offers", self.offered),
            ("kubelet, holders", self.holdings),
        ):
            if isinstance(source, Unread):
                yield name, source.why
        if isinstance(self.driver, DriverReading):
            for index, gpu in self.driver.gpus.items():
                if isinstance(gpu, Unread):
                    yield f"driver, GPU {index}", gpu.why


@dataclass(frozen=True, slots=True)
class Known:
    """Which sources speak of one GPU's slices, so that their silence means something."""

    driver: bool
    spec: bool
    """The spec names this GPU; one that it does not name is left as it is."""
    status: bool
    current: bool
    """The report answers the present generation."""
    ledger: bool
    offers: bool
    ours_alone: bool = True
    """Whether nobody but us is meant to offer slices."""
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One place on a GPU, and what each source says of it; None is silence. `ours` is None where nobody could say."""

    placed: Placed
    instance: Instance | None = None
    pids: tuple[int, ...] = ()
    wanted: SpecSlice | None = None
    reported: StatusSlice | None = None
    entry: Entry | None = None
    ours: bool | None = None
    offered: bool = False
    holding: Holding | None = None
    holder: str = ""
    """The living Pod behind `holding`, namespace/name."""
    differences: tuple[str, ...] = ()

    @property
    def device_id(self) -> str:
        """The UUID by which the kubelet knows it, as far as anybody knows it."""
        candidates = (each.uuid for each in (self.instance, self.reported, self.entry) if each is not None)
        return next(filter(None, candidates), "")


@dataclass(frozen=True, slots=True)
class GpuTable:
    """One GPU: who it is, its rows by place, and what differs of the GPU as a whole."""

    uuid: str
    index: int | None
    model: str
    mig_mode: str
    known: Known
    rows: tuple[Row, ...]
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CountRow:
    """One resource of the Node: slices of ours that exist, ids that the kubelet offers, and the Node's two numbers."""

    resource: str
    slices: int | None
    offered: int | None
    capacity: int | None
    allocatable: int | None
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The whole node. `notes` are worth knowing and no differences."""

    node: str
    notes: tuple[str, ...]
    gpus: tuple[GpuTable, ...]
    counts: tuple[CountRow, ...]
    differences: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]

    def all_differences(self) -> Iterator[str]:
        """Every one, from the whole to the parts."""
        yield from self.differences
        for gpu in self.gpus:
            yield from gpu.differences
            for row in gpu.rows:
                yield from row.differences
        yield from (row.difference for row in self.counts if row.difference)

    @property
    def exit_status(self) -> int:
        """0 where all agree, 1 where they differ, 2 where something could not be read."""
        if self.unread:
            return INCOMPLETE
        return DIFFER if any(self.all_differences()) else AGREE
