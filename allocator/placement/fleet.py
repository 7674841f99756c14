"""What the placement sees: nodes, their GPUs, and what one Pod wishes for, as frozen values.

The index builds them from the API server's objects; placement and the tests need nothing else. A GPU's slices come in two
kinds: `fixed` ones stay where they are whatever happens, `warm` ones are free, unclaimed and proven so by an up-to-date
report: they may be reused, or removed to make room.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Final

from mig.demand import Need
from mig.occupancy import Placed
from mig.placements import GpuShape

ROOM_STEPS: Final = 16
"""How finely a node's room is told: less is no reason to prefer it, and at each step all its GPUs get another rank."""

_NOTHING: Mapping[str, int] = MappingProxyType({})
"""One empty mapping for all: most Pods ask for nothing but CPU and memory."""


def _nothing() -> Mapping[str, int]:
    return _NOTHING


class Reason(StrEnum):
    """Why a Pod is where it is: the reasons of its condition `nos.nebuly.com/MigAllocated`."""

    ALLOCATED = "Allocated"
    CREATING = "Creating"
    FULL = "Full"
    FRAGMENTED = "Fragmented"
    GEOMETRY_FORBIDS = "GeometryForbids"
    NO_SUCH_PROFILE = "NoSuchProfile"
    NO_NODE_FITS = "NoNodeFits"
    OTHER_GATES = "OtherGates"


@dataclass(frozen=True, slots=True)
class Resources:
    """Amounts of what a node has and a Pod needs, our slices left out: CPU in thousandths, memory in bytes."""

    milli_cpu: int = 0
    memory: int = 0
    pods: int = 0
    other: Mapping[str, int] = field(default_factory=_nothing)

    def plus(self, more: "Resources") -> "Resources":
        """The sum."""
        return self._combined(more, 1)

    def minus(self, less: "Resources") -> "Resources":
        """The difference; what is overdrawn goes negative and so fits nothing."""
        return self._combined(less, -1)

    def _combined(self, with_: "Resources", sign: int) -> "Resources":
        other = self.other
        if with_.other:
            other = {name: other.get(name, 0) + sign * with_.other.get(name, 0) for name in {*other, *with_.other}}
        return Resources(
            self.milli_cpu + sign * with_.milli_cpu,
            self.memory + sign * with_.memory,
            self.pods + sign * with_.pods,
            other,
        )

    def shortages(self, wanted: "Resources") -> tuple[str, ...]:
        """The names of what is wanted and not there, in the API server's words."""
        short = [
            name
            for name, have, want in (
                ("cpu", self.milli_cpu, wanted.milli_cpu),
                ("memory", self.memory, wanted.memory),
                ("pods", self.pods, wanted.pods),
            )
            if want > have and want > 0
        ]
        short += [name for name, want in sorted(wanted.other.items()) if want > self.other.get(name, 0) and want > 0]
        return tuple(short)


NOTHING: Final = Resources()


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint; only `NoSchedule` and `NoExecute` keep a Pod away."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Toleration:
    """A Pod's toleration; an empty key with `Exists` tolerates everything, an empty effect every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """As the scheduler's own rule, its numeric operators (alpha, off by default) left out."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or (self.operator in ("", "Equal") and self.value == taint.value)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression of a node selector term. `field` expressions speak of `metadata.name`, the others of labels."""

    key: str
    operator: str
    values: tuple[str, ...]
    on_field: bool = False


_ANYWHERE: Final = ("", str(IPv4Address(0)))


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port that a Pod takes on the node itself; an empty address, or IPv4's for any, is every address."""

    port: int
    protocol: str
    address: str

    def clashes(self, other: "HostPort") -> bool:
        """Whether both cannot be on one node. As to the scheduler, IPv6's address for any is one like all others."""
        if self.port != other.port or self.protocol != other.protocol:
            return False
        return self.address == other.address or self.address in _ANYWHERE or other.address in _ANYWHERE


@dataclass(frozen=True, slots=True)
class Wish:
    """What one waiting Pod needs, and what it demands of its node. `affinity` is a disjunction of terms; None is no demand.

    `lasts` is how many seconds it declares to run, once it runs; None where it declares nothing.
    """

    uid: str
    namespace: str
    name: str
    needs: tuple[Need, ...]
    requests: Resources = Resources(pods=1)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: tuple[tuple[Requirement, ...], ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    lasts: float | None = None


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a Node object says; `allocatable` without our slices."""

    name: str
    uid: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    ready: bool
    cordoned: bool
    allocatable: Resources
    mig_allocatable: Mapping[str, int] = field(default_factory=_nothing)
    """Count by MIG resource name, as the Node shows it now."""


@dataclass(frozen=True)
class GpuView:
    """One GPU that is handed over, with what lies on it. With a `trouble` nothing new goes there.

    `ends` says of those fixed slices whose Pod declares a lifetime when it is expected to end, by time: seconds since the epoch,
    which stay as they are while time goes by. An end that has passed may come any moment.
    """

    uuid: str
    model: str
    shape: GpuShape
    fixed: tuple[Placed, ...] = ()
    warm: tuple[Placed, ...] = ()
    trouble: str = ""
    ends: tuple[tuple[float, Placed], ...] = ()

    @cached_property
    def state(self) -> "GpuState":
        """Equal for GPUs between which placement cannot tell."""
        fixed, warm = tuple(sorted(self.fixed)), tuple(sorted(self.warm))
        return self.model, self.shape, fixed, warm, bool(self.trouble), self.ends

    def taking(self, placed: Placed, drops: Iterable[Placed] = (), *, end: float | None = None) -> "GpuView":
        """The GPU once `placed` is claimed, be it reused or new, by a Pod that ends at `end`, and the warm `drops` are gone."""
        gone = {placed, *drops}
        return replace(
            self,
            fixed=(*self.fixed, placed),
            warm=tuple(item for item in self.warm if item not in gone),
            ends=self.ends if end is None else tuple(sorted((*self.ends, (end, placed)))),
        )


GpuState = tuple[str, GpuShape, tuple[Placed, ...], tuple[Placed, ...], bool, tuple[tuple[float, Placed], ...]]


@dataclass(frozen=True)
class NodeView:
    """A node that is handed over. `free` is its allocatable less all Pods that are bound, reserved or nominated here."""

    facts: NodeFacts
    free: Resources
    gpus: tuple[GpuView, ...]
    used_ports: tuple[HostPort, ...] = ()
    trouble: str = ""
    """Why nothing new goes there now, in words that follow "1 node"; empty where nothing is wrong."""

    @property
    def name(self) -> str:
        """The Node's name."""
        return self.facts.name

    @cached_property
    def room(self) -> float:
        """What is left of CPU or memory, whichever is scarcer here: 0 to 1, in steps, so that it is seldom another number."""
        free, whole = self.free, self.facts.allocatable
        cpu = free.milli_cpu / whole.milli_cpu if whole.milli_cpu > 0 else 1.0
        memory = free.memory / whole.memory if whole.memory > 0 else 1.0
        return round(max(0.0, min(1.0, cpu, memory)) * ROOM_STEPS) / ROOM_STEPS
