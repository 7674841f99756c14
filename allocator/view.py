"""What one round sees: the cluster as frozen values, and each MigSpec with what its report proves.

A report proves something about a slice only if the agent had judged the generation at which that slice's claim last changed.
`Tracked` therefore remembers that generation for every slice, from successive versions of the object; at first sight it is the
current one, so that a restart trusts nothing old.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from allocator.lifetimes import NO_ENDS, Ends
from allocator.loads import NodeLoad
from allocator.placement.fleet import GpuView, NodeFacts
from allocator.pods import MigPod
from mig.geometries import Geometries
from mig.migspec import Claim, MigMode, MigSpec, SliceState, StatusGpu, StatusSlice
from mig.names import AGENT_LEAVING
from mig.occupancy import Placed

Slots = Mapping[str, Mapping[Placed, Claim | None]]
"""GPU → slice → its claim: a spec as the round works on it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A MigSpec as read, with the uid of the Node that owns it (empty: nobody)."""

    migspec: MigSpec
    owner_uid: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A MigSpec that cannot be read: its node is left alone, and nothing else suffers."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Spot:
    """A claimed slice and where it lies."""

    node: str
    gpu: str
    placed: Placed
    claim: Claim


@dataclass(frozen=True)
class Tracked:
    """A MigSpec with the generation at which each slice's claim last changed, and when its claims are expected to end."""

    stored: Stored
    changed_at: Mapping[tuple[str, Placed], int]
    ends: Ends

    @property
    def migspec(self) -> MigSpec:
        """The object itself."""
        return self.stored.migspec

    @cached_property
    def slots(self) -> Slots:
        """The stored spec by GPU and place."""
        return {gpu.uuid: {item.placed: item.claim for item in gpu.slices} for gpu in self.migspec.spec.gpus}

    @cached_property
    def spots(self) -> tuple[Spot, ...]:
        """Every claimed slice."""
        name = self.migspec.name
        return tuple(Spot(name, gpu.uuid, item.placed, claim) for gpu, item, claim in self.migspec.spec.claims())

    @cached_property
    def reports(self) -> Mapping[tuple[str, Placed], StatusSlice]:
        """What the agent says of each slice."""
        status = self.migspec.status
        return {(gpu.uuid, item.placed): item for gpu in (status.gpus if status else ()) for item in gpu.slices}

    @cached_property
    def cut_gpus(self) -> Mapping[str, StatusGpu]:
        """The GPUs of the report that have MIG enabled."""
        status = self.migspec.status
        return {gpu.uuid: gpu for gpu in (status.gpus if status else ()) if gpu.mig_mode is MigMode.ENABLED}

    @property
    def judged(self) -> int:
        """The generation up to which the agent has looked; 0 before its first report."""
        return self.migspec.status.observed_generation if self.migspec.status else 0

    @property
    def agent_leaves(self) -> bool:
        """Whether the agent has said that it ends, and no successor has reported since."""
        healthy = self.migspec.status.condition("Healthy") if self.migspec.status else None
        return healthy is not None and healthy.reason == AGENT_LEAVING

    def is_judged(self, gpu: str, placed: Placed) -> bool:
        """Whether the report is no older than the last change of this slice's claim."""
        return self.judged >= self.changed_at.get((gpu, placed), self.migspec.generation)

    def is_free(self, gpu: str, placed: Placed) -> bool:
        """Whether an up-to-date report says that the slice exists, is offered, and nobody uses it."""
        report = self.reports.get((gpu, placed))
        return report is not None and report.state is SliceState.FREE and self.is_judged(gpu, placed)

    @cached_property
    def gpu_views(self) -> tuple[GpuView, ...]:
        """The GPUs as placement sees them while the spec is as stored."""
        return gpu_views(self, self.slots)


def follow(before: Tracked | None, stored: Stored, *, ends: Ends = NO_ENDS) -> Tracked:
    """The next version of an object, or its first where `before` is None or was another object of that name."""
    fresh = stored.migspec
    slots = {(gpu.uuid, item.placed): item.claim for gpu in fresh.spec.gpus for item in gpu.slices}
    if before is None or before.migspec.uid != fresh.uid:
        return Tracked(stored, dict.fromkeys(slots, fresh.generation), ends)
    if before.migspec.generation == fresh.generation:
        return Tracked(stored, before.changed_at, ends)
    known = {(gpu, placed): claim for gpu, slices in before.slots.items() for placed, claim in slices.items()}
    changed_at = {
        slot: before.changed_at[slot] if slot in known and known[slot] == claim else fresh.generation
        for slot, claim in slots.items()
    }
    return Tracked(stored, changed_at, ends)


def gpu_views(tracked: Tracked, slots: Slots) -> tuple[GpuView, ...]:
    """The GPUs as placement may use them, when the spec is to be `slots`.

    Only GPUs that the stored spec names: what lies on the others is not settled yet. A slice of ours that is on its way out
    counts as room: the agent takes it away before it makes another there.
    """
    return tuple(
        _gpu_view(tracked, gpu, slots.get(uuid, {})) for uuid, gpu in tracked.cut_gpus.items() if uuid in tracked.slots
    )


def _gpu_view(tracked: Tracked, gpu: StatusGpu, slices: Mapping[Placed, Claim | None]) -> GpuView:
    shape = gpu.shape
    fixed: list[Placed] = []
    warm: list[Placed] = []
    stored = tracked.slots[gpu.uuid]
    for placed, claim in slices.items():
        unclaimed = claim is None and placed in stored and stored[placed] is None
        reusable = unclaimed and placed.profile in shape.by_profile and tracked.is_free(gpu.uuid, placed)
        (warm if reusable else fixed).append(placed)
    fixed += [item.placed for item in gpu.slices if item.placed not in slices and not _is_going(item)]
    return GpuView(gpu.uuid, gpu.model, shape, tuple(fixed), tuple(warm), gpu.trouble, _ends(tracked.ends, slices))


def _ends(ends: Ends, slices: Mapping[Placed, Claim | None]) -> tuple[tuple[float, Placed], ...]:
    if not ends:
        return ()
    known = ((claim, placed) for placed, claim in slices.items() if claim is not None)
    return tuple(sorted((ends[claim.uid], placed) for claim, placed in known if claim.uid in ends))


def _is_going(item: StatusSlice) -> bool:
    if not item.owned:
        return False
    return item.state in (SliceState.DELETING, SliceState.FREE) or (item.state is SliceState.FAILED and not item.uuid)


@dataclass(frozen=True, slots=True)
class View:
    """The cluster as one round sees it. The mappings are read only, and stay as they are while the round decides."""

    epoch: int
    pods: Mapping[str, MigPod]
    """Unfinished MIG Pods by uid."""
    nodes: Mapping[str, NodeFacts]
    specs: Mapping[str, Tracked]
    loads: Mapping[str, NodeLoad]
    """What the Pods that have their place take, by node."""
    geometries: Geometries
    broken: frozenset[str] = frozenset()
    """Nodes whose MigSpec is there but cannot be read."""
