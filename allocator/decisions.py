"""What a round decides, as frozen values; the writer carries it out, and nothing else.

Each decision carries what makes it void when it is stale: the uid and generation, or the resourceVersion, of the object that it
was made for. Decisions of one round do not depend on one another, so the writer may carry them out in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from allocator.placement.fleet import Reason
from allocator.pods import MigPod
from allocator.view import Spot
from mig.migspec import Spec


@dataclass(frozen=True, slots=True)
class Create:
    """Make a node's MigSpec, owned by that very Node."""

    node: str
    node_uid: str


@dataclass(frozen=True, slots=True)
class Write:
    """Replace a MigSpec's spec, if it is still of that generation."""

    node: str
    uid: str
    generation: int
    spec: Spec
    reserved: tuple[str, ...] = ()
    """The uids of the Pods that get their slices by this write."""
    released: tuple[Spot, ...] = ()
    """The claims of Pods that have ended, which this write takes away."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a MigSpec: that very object, and, with a resourceVersion, only if nothing has changed about it."""

    node: str
    uid: str
    resource_version: str | None


@dataclass(frozen=True, slots=True)
class LabelAgent:
    """Set or take away the label that keeps an agent on the node."""

    node: str
    present: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it stands with one Pod: the content of its condition."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class PodWrite:
    """What to write to one Pod, in this order: its status (condition, nomination), then annotation and gate."""

    pod: MigPod
    outcome: Outcome | None = None
    nominate: str | None = None
    allocation: str | None = None
    """The new value of `mig-allocation`; None leaves it."""
    ungate: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What one round leaves to the next and the API server does not hold. Times are of the injected clock, in seconds.

    Losing it costs a few seconds of waiting again, never correctness.
    """

    first_seen: Mapping[str, float] = field(default_factory=dict)
    """Pod uid → since when it waits."""
    written: Mapping[str, float] = field(default_factory=dict)
    """Pod uid → when its condition was last written."""
    released: Mapping[str, float] = field(default_factory=dict)
    """Pod uid → since when nothing but the scheduler keeps it from being bound."""
    nominated: Mapping[str, float] = field(default_factory=dict)
    """Pod uid → when we nominated it last."""
    shunned: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(Pod uid, node) → until when the Pod does not go there."""
    avoided: Mapping[tuple[str, str, int], float] = field(default_factory=dict)
    """(node, GPU, start) → until when no slice is made there."""
    overdue: Mapping[tuple[str, int], float] = field(default_factory=dict)
    """(node, judged generation) → since when its agent owes a look at a newer one."""
    leaving: Mapping[str, float] = field(default_factory=dict)
    """Node → since when its agent says that it ends."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Everything that one round decides."""

    creates: tuple[Create, ...] = ()
    writes: tuple[Write, ...] = ()
    removes: tuple[Remove, ...] = ()
    labels: tuple[LabelAgent, ...] = ()
    pods: tuple[PodWrite, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Pod uid → how it stands, for every Pod that is not bound."""
    memory: Memory = Memory()
    deposed_by: int | None = None
    """A higher epoch than ours that stands in a MigSpec: somebody else leads, and nothing was decided."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.creates or self.writes or self.removes or self.labels or self.pods)
