"""Events for the people who own Pods, Nodes and the ConfigMap: said once, when something changes.

A Pod's Event repeats its condition, so that `kubectl describe pod` tells the story in order. Nothing depends on them.
"""

from typing import Final, Protocol

from allocator.decisions import Outcome
from allocator.placement.fleet import Reason
from allocator.pods import MigPod
from kube.events import ObjectRef


class Emit(Protocol):
    """`kube.events.EventRecorder.emit`."""

    def __call__(self, regarding: ObjectRef, *, warning: bool = False, reason: str, action: str, note: str) -> None:
        """Say something about an object; never waits, never raises."""


_EVENT_REASONS: Final = {Reason.ALLOCATED: "MigAllocated", Reason.CREATING: "MigCreating"}
"""The others are told as `MigWaiting`, with the reason in the note's first word."""


class Announcer:
    """Says what was decided."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def pod(self, pod: MigPod, outcome: Outcome | None) -> None:
        """A Pod's condition has changed; only a new reason is news."""
        if outcome is None or (pod.condition is not None and pod.condition.reason == outcome.reason):
            return
        wish = pod.wish
        reason = _EVENT_REASONS.get(outcome.reason)
        self._emit(
            ObjectRef("v1", "Pod", wish.name, wish.namespace, wish.uid, pod.resource_version),
            warning=reason is None,
            reason=reason or "MigWaiting",
            action="Allocate",
            note=outcome.message if reason else f"{outcome.reason}: {outcome.message}",
        )

    def geometries(self, *, namespace: str, name: str, complaint: str) -> None:
        """The geometries' ConfigMap is bad."""
        self._emit(
            ObjectRef("v1", "ConfigMap", name, namespace),
            warning=True,
            reason="InvalidGeometries",
            action="ReadGeometries",
            note=f"the last good geometries stay in force: {complaint}",
        )
