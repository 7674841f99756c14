"""What NVIDIA's device plugin has told the kubelet, beside what is on the hardware: what may be counted, and what is stale. Pure.

NVIDIA's id of a MIG slice, in the mixed strategy, is the slice's UUID. The kubelet chooses among the free ids of a resource as it
likes, and nobody can mark one unhealthy; so a resource is counted as a whole or not at all: as soon as a single free id of it must
not go to a new Pod (its slice is being taken away, is gone or has another profile by now, or somebody still computes there), only
what Pods hold is counted, and the scheduler binds no Pod to any of them. What is unknown is neither missing nor gone.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from mig.profiles import Profile
from nodeagent.kubelet.counts import Counts
from nodeagent.nvidia.entries import Entry, entries
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
    present: AbstractSet[Entry] | None = None
    uses: Mapping[str, Use] = field(default_factory=dict)
    closed: bool = False

    @property
    def meant(self) -> frozenset[Entry]:
        """Ours that Pods may have, as the plugin is to offer them."""
        return frozenset(
            Entry(profile.resource, device_id)
            for device_id, profile in self.offered.items()
            if device_id not in self.leaving
        )

    @property
    def missing(self) -> frozenset[Entry]:
        """Ours that Pods may have, and that the kubelet does not know."""
        return self.meant - entries(self.listed)

    @property
    def gone(self) -> frozenset[Entry]:
        """What the kubelet lists, and would hand out, although no GPU has it any more, or has it with another profile."""
        return self._remade if self.present is None else self._remade | (entries(self.listed) - self.present)

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
        return not self.closed and not self._unfit(resource) - self._held(resource)

    def counts(self, known: AbstractSet[str]) -> Counts:
        """What the Node should show for these resources and all that are listed. Capacities of nothing are left to the kubelet."""
        return Counts(
            capacity={resource: len(ids) for resource, ids in self.listed.items() if ids},
            allocatable={resource: self._counted(resource) for resource in known | self.listed.keys()},
        )

    def _counted(self, resource: str) -> int:
        ids = self._listed(resource)
        return len(ids) if self.open(resource) else len(self._held(resource))

    def _listed(self, resource: str) -> frozenset[str]:
        return self.listed.get(resource, NOBODY)

    @property
    def _remade(self) -> frozenset[Entry]:
        """What is listed under a resource that its slice no longer belongs to."""
        actual = self.meant | (self.present or frozenset())
        known = {entry.device_id for entry in actual}
        return frozenset(entry for entry in entries(self.listed) - actual if entry.device_id in known)

    def _held(self, resource: str) -> frozenset[str]:
        """What Pods have of it: the kubelet gives it to no other. Who has a slice that was remade has it by its new resource."""
        by_pods = {device_id for device_id, use in self.uses.items() if use.source is not Source.PROCESS}
        return self._listed(resource) & by_pods - _ids(self._remade, resource)

    def _unfit(self, resource: str) -> frozenset[str]:
        """What is listed there and no new Pod should get. The kubelet may still believe that it is free."""
        computing = {device_id for device_id, use in self.uses.items() if use.source is Source.PROCESS}
        return self._listed(resource) & (_ids(self.gone, resource) | self.leaving | computing)


def _ids(some: AbstractSet[Entry], resource: str) -> frozenset[str]:
    return frozenset(entry.device_id for entry in some if entry.resource == resource)
