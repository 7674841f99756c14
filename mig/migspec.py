"""MigSpec as frozen values: what the allocator wants of a node (`Spec`) and what the node's agent reports (`Status`).

`spec` is written by the allocator alone, `status` by the node's agent alone. Claims live in the spec and nowhere else: a
slice with a claim is reserved for that container, one without is warm. The JSON form stands in `mig.migspec_json`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mig.occupancy import Placed
from mig.placements import GpuShape, ProfileOffer, Window
from mig.profiles import Profile


class SliceState(StrEnum):
    """What the agent says of one slice."""

    CREATING = "Creating"
    """Wanted by the spec, not there or not offered yet."""
    FREE = "Free"
    """Exists, is offered to the kubelet, and nobody uses it."""
    USED = "Used"
    """From its Allocate until its Pod is gone and both PodResources and the driver's process list are silent."""
    DELETING = "Deleting"
    """Ours, not wanted any more, being taken away."""
    RELEASE_BLOCKED = "ReleaseBlocked"
    """Ours, not wanted, and the driver will not let go of it: somebody still computes there."""
    FAILED = "Failed"
    """Wanted, and could not be made; the message says why."""
    FOREIGN = "Foreign"
    """Not ours: it occupies its room and is left alone."""


class MigMode(StrEnum):
    """A GPU's MIG mode as the driver reports it."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_RESET = "PendingReset"
    UNSUPPORTED = "Unsupported"


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """Whose slice it is: one container of one Pod. `uid` and `container` identify it; the names are for people."""

    uid: str
    container: str
    namespace: str
    pod: str


@dataclass(frozen=True, slots=True)
class SpecSlice:
    """One wanted slice; without a claim it is warm."""

    window: Window
    profile: Profile
    claim: Claim | None = None

    @property
    def placed(self) -> Placed:
        """The slice at its place, its claim forgotten."""
        return Placed(self.window, self.profile)


@dataclass(frozen=True, slots=True)
class SpecGpu:
    """What one GPU shall hold. A GPU that no spec names is left as it is."""

    uuid: str
    slices: tuple[SpecSlice, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """A node's wanted slices, written in the term `leader_epoch`."""

    leader_epoch: int
    gpus: tuple[SpecGpu, ...] = ()

    def gpu(self, uuid: str) -> SpecGpu | None:
        """The entry of one GPU."""
        return next((gpu for gpu in self.gpus if gpu.uuid == uuid), None)

    def claims(self) -> Iterator[tuple[SpecGpu, SpecSlice, Claim]]:
        """Every claimed slice with its GPU and its claim."""
        for gpu in self.gpus:
            for item in gpu.slices:
                if item.claim is not None:
                    yield gpu, item, item.claim


@dataclass(frozen=True, slots=True)
class Holder:
    """The Pod (and container, where the kubelet says it) that uses a slice."""

    namespace: str
    name: str
    uid: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class StatusSlice:
    """One slice as the agent sees it. `uuid` is the MIG device's, empty while there is none."""

    window: Window
    profile: Profile
    state: SliceState
    uuid: str = ""
    owned: bool = True
    holder: Holder | None = None
    message: str = ""

    @property
    def placed(self) -> Placed:
        """The slice at its place."""
        return Placed(self.window, self.profile)


@dataclass(frozen=True, slots=True)
class StatusGpu:
    """One GPU as the agent sees it. `grid_width` is in memory slices, 0 where MIG is off.

    `trouble` says why nothing new may be placed there now, and what to do; empty where all is well.
    """

    uuid: str
    index: int
    model: str
    mig_mode: MigMode
    grid_width: int = 0
    profiles: tuple[ProfileOffer, ...] = ()
    slices: tuple[StatusSlice, ...] = ()
    trouble: str = ""

    @property
    def shape(self) -> GpuShape:
        """What it can be cut into."""
        return GpuShape(self.grid_width, self.profiles)


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes condition; `status` is `True`, `False` or `Unknown`, the time RFC 3339."""

    type: str
    status: str
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """An agent's report. It judges every slice of the spec at `observed_generation`, and every slice that it finds beside."""

    observed_generation: int
    boot_id: str = ""
    driver_version: str = ""
    gpus: tuple[StatusGpu, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def gpu(self, uuid: str) -> StatusGpu | None:
        """The report on one GPU."""
        return next((gpu for gpu in self.gpus if gpu.uuid == uuid), None)

    def condition(self, kind: str) -> Condition | None:
        """One condition by its type: `Converged`, `Healthy`."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


@dataclass(frozen=True, slots=True)
class MigSpec:
    """One node's MigSpec as read from the API server; `status` is None before the agent's first report."""

    name: str
    uid: str
    generation: int
    resource_version: str
    spec: Spec
    status: Status | None = None


def counts(status: Status) -> Mapping[str, int | str]:
    """The printer columns' numbers: GPUs handed over, slices by what became of them, room left in memory slices `free/all`."""
    slices = [item for gpu in status.gpus for item in gpu.slices]
    width = sum(gpu.grid_width for gpu in status.gpus if gpu.mig_mode is MigMode.ENABLED)
    taken = sum(item.window.size for item in slices if item.state is not SliceState.FREE)
    return {
        "gpus": sum(gpu.mig_mode is MigMode.ENABLED for gpu in status.gpus),
        "used": sum(item.state is SliceState.USED for item in slices),
        "free": sum(item.state is SliceState.FREE for item in slices),
        "pending": sum(item.state in (SliceState.CREATING, SliceState.DELETING) for item in slices),
        "failed": sum(item.state in (SliceState.FAILED, SliceState.RELEASE_BLOCKED) for item in slices),
        "foreign": sum(item.state is SliceState.FOREIGN for item in slices),
        "room": f"{max(width - taken, 0)}/{width}",
    }
