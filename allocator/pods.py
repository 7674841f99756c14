"""Pods as the allocator keeps them: little of those that ask for no slice, what decides of those that do.

A cluster has tens of thousands of plain Pods, of which only the node and the requests matter; equal requests are one object.
A MIG Pod is kept with its wish, its gates, its place, and with what a patch of it must know (resourceVersion, positions in
lists). A Pod that cannot be read in its MIG part is kept with the reason and so harms nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from allocator.facts import host_ports, wish_of
from allocator.placement.fleet import NOTHING, HostPort, Resources, Wish
from allocator.podrequests import pod_requests
from mig.demand import Allotment, Need, allocation_from_annotation, asks_for_mig
from mig.names import ALLOCATION_ANNOTATION, CONDITION, GATE
from mig.profiles import ProfileNameError

Json = Mapping[str, Any]

FINISHED: Final = ("Succeeded", "Failed")
"""Phases from which there is no way back."""

_INTERNED_AT_MOST: Final = 4096
"""Distinct requests of a cluster's plain Pods; beyond it they are simply not shared."""


@dataclass(frozen=True, slots=True)
class PlainPod:
    """A Pod that asks for no slice: what it takes, and where (bound, or nominated by a preemption; else empty)."""

    node: str = ""
    requests: Resources = NOTHING
    ports: tuple[HostPort, ...] = ()


NO_POD: Final = PlainPod()


@dataclass(frozen=True, slots=True)
class PodCondition:
    """Our condition as the Pod has it; `index` is its position in the list, `since` its last transition."""

    index: int
    status: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True)
class MigPod:
    """A Pod that asks for slices and has not finished."""

    wish: Wish
    resource_version: str
    created: str
    """RFC 3339 in UTC, as the API server writes it, so that its order is the order in time."""
    priority: int = 0
    node: str = ""
    """Where it is bound; empty while it is not."""
    nominated: str = ""
    deleting: bool = False
    gates: tuple[str, ...] = ()
    allocation: str = ""
    """The value of `mig-allocation`, empty where there is none."""
    has_annotations: bool = True
    has_conditions: bool = True
    condition: PodCondition | None = None
    unschedulable: str = ""
    """The scheduler's own words after it tried and failed; empty before."""
    trouble: str = ""
    """Why its requests cannot be read; such a Pod has no needs."""
    started: float | None = None
    """When the kubelet took it on, in seconds since the epoch; None before."""

    @property
    def uid(self) -> str:
        """What identifies it; names come again."""
        return self.wish.uid

    @property
    def needs(self) -> tuple[Need, ...]:
        """The slices that it needs."""
        return self.wish.needs

    @property
    def gated(self) -> bool:
        """Whether our gate is still on it."""
        return GATE in self.gates

    @property
    def other_gates(self) -> tuple[str, ...]:
        """Somebody else's gates: it is not admitted yet."""
        return tuple(gate for gate in self.gates if gate != GATE)

    @property
    def pending(self) -> bool:
        """Whether the scheduler may bind it at any moment."""
        return not self.node and not self.gates and not self.deleting

    @cached_property
    def allotments(self) -> Mapping[str, Allotment]:
        """Container → slice by its annotation; empty where that is missing or is not ours."""
        try:
            return allocation_from_annotation(self.allocation) if self.allocation else {}
        except ValueError:
            return {}

    @property
    def order(self) -> tuple[int, str, str]:
        """Sorts waiting Pods: priority, then age."""
        return -self.priority, self.created, self.uid


Pod = PlainPod | MigPod


class PodReader:
    """Reads Pods; keeps equal requests once."""

    def __init__(self) -> None:
        self._interned: dict[object, Resources] = {}

    def read(self, pod: Json) -> Pod:
        """A Pod by its dict; one that has finished takes nothing."""
        spec, status = pod["spec"], pod.get("status") or {}
        if status.get("phase") in FINISHED:
            return NO_POD
        gates = tuple(gate["name"] for gate in spec.get("schedulingGates") or ())
        if GATE in gates or asks_for_mig(spec):
            return _mig_pod(pod, gates=gates)
        node = spec.get("nodeName") or status.get("nominatedNodeName") or ""
        return PlainPod(node, self._shared(pod_requests(pod)), host_ports(spec)) if node else NO_POD

    def _shared(self, requests: Resources) -> Resources:
        key = (requests.milli_cpu, requests.memory, requests.pods, tuple(sorted(requests.other.items())))
        if len(self._interned) >= _INTERNED_AT_MOST:
            return self._interned.get(key, requests)
        return self._interned.setdefault(key, requests)


def _mig_pod(pod: Json, *, gates: tuple[str, ...]) -> MigPod:
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    conditions = status.get("conditions")
    annotations = metadata.get("annotations")
    wish, trouble = _wish(pod)
    return MigPod(
        wish=wish,
        resource_version=metadata["resourceVersion"],
        created=metadata.get("creationTimestamp") or "",
        priority=int(spec.get("priority") or 0),
        node=spec.get("nodeName") or "",
        nominated=status.get("nominatedNodeName") or "",
        deleting="deletionTimestamp" in metadata,
        gates=gates,
        allocation=(annotations or {}).get(ALLOCATION_ANNOTATION) or "",
        has_annotations=annotations is not None,
        has_conditions=conditions is not None,
        condition=_our_condition(conditions or ()),
        unschedulable=_unschedulable(conditions or ()),
        trouble=trouble,
        started=_epoch(status.get("startTime")),
    )


def _epoch(time: object) -> float | None:
    """RFC 3339 as the API server writes it; anything else is no time."""
    try:
        return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else None
    except (ValueError, OverflowError):
        return None


def _wish(pod: Json) -> tuple[Wish, str]:
    try:
        return wish_of(pod), ""
    except ProfileNameError as error:
        metadata = pod["metadata"]
        unread = Wish(metadata["uid"], metadata["namespace"], metadata["name"], (), pod_requests(pod))
        return unread, str(error)


def _our_condition(conditions: Any) -> PodCondition | None:
    for index, item in enumerate(conditions):
        if item.get("type") == CONDITION:
            return PodCondition(
                index=index,
                status=item.get("status", ""),
                reason=item.get("reason", ""),
                message=item.get("message", ""),
                since=item.get("lastTransitionTime") or "",
            )
    return None


def _unschedulable(conditions: Any) -> str:
    for item in conditions:
        if (
            item.get("type") == "PodScheduled"
            and item.get("status") == "False"
            and item.get("reason") == "Unschedulable"
        ):
            return str(item.get("message") or "the scheduler gave no reason")
    return ""
