"""What NVIDIA's device plugin has told the kubelet, beside what is on the hardware: what may be counted, and what is stale. Pure.

NVIDIA's id of a MIG slice, in the mixed strategy, is the slice's UUID. The kubelet chooses among the free ids of a resource as it
likes, and nobody can mark one unhealthy; so a resource is counted as a whole or not at all: as soon as a single free id of it must
not go to a new Pod (its slice is being taken away, is gone, or somebody still computes there), only what Pods hold is counted, and
the scheduler binds no Pod to any of them. What is unknown is neither missing nor gone.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from mig.profiles import Profile
from nodeagent.kubelet.counts import Counts
from nodeagent.use.usage import Source, Use

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Book:
    """One moment. `listed` is by resource; `present` are all slices on the hardware, None while that is not known.

    `offered` are ours that Pods may have, `leaving` those on their way out. With `closed` nothing but what Pods hold counts.
    """

    offered: Mapping[str, Profile] = field(default_factory=dict)
    leaving: AbstractSet[str] = NOBODY
    listed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    present: AbstractSet[str] | None = None
    uses: Mapping[str, Use] = field(default_factory=dict)
    closed: bool = False

    @property
    def missing(self) -> frozenset[str]:
        """Ours that Pods may have, and that the kubelet does not know."""
        return frozenset(
            device_id
            for device_id, profile in self.offered.items()
            if device_id not in self.leaving and device_id not in self._listed(profile.resource)
        )

    @property
    def gone(self) -> frozenset[str]:
        """What the kubelet lists, and would hand out, although it is on no GPU any more."""
        return self._all_listed - self.present if self.present is not None else NOBODY

    @property
    def ready(self) -> frozenset[str]:
        """Ours that the kubelet would allocate and that are counted; whether the Node shows that is another question."""
        return frozenset(
            device_id
            for device_id, profile in self.offered.items()
            if device_id in self._listed(profile.resource) - self.leaving and self.open(profile.resource)
        )

    def open(self, resource: str) -> bool:
        """Whether each free id of a resource may go to a new Pod."""
        return not self.closed and not (self._listed(resource) & self._unfit) - self._held

    def counts(self, known: AbstractSet[str]) -> Counts:
        """What the Node should show for these resources and all that are listed. Capacities of nothing are left to the kubelet."""
        return Counts(
            capacity={resource: len(ids) for resource, ids in self.listed.items() if ids},
            allocatable={resource: self._counted(resource) for resource in known | self.listed.keys()},
        )

    def _counted(self, resource: str) -> int:
        ids = self._listed(resource)
        return len(ids) if self.open(resource) else len(ids & self._held)

    def _listed(self, resource: str) -> frozenset[str]:
        return self.listed.get(resource, NOBODY)

    @property
    def _all_listed(self) -> frozenset[str]:
        return NOBODY.union(*self.listed.values())

    @property
    def _held(self) -> frozenset[str]:
        """What Pods have: the kubelet gives it to no other."""
        return frozenset(device_id for device_id, use in self.uses.items() if use.source is not Source.PROCESS)

    @property
    def _unfit(self) -> frozenset[str]:
        """What no new Pod should get. The kubelet may still believe that it is free."""
        computing = {device_id for device_id, use in self.uses.items() if use.source is Source.PROCESS}
        return self.gone | self.leaving | computing
