"""What happened to each Pod and when, as an onlooker sees it from the API server.

A `Timeline` is fed with versions of Pods and MigSpecs, each with the moment of its arrival, and keeps for every Pod the
first moment of each step of its way. It is pure: clocks and watches are the caller's (`demo.onlooker`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mig.migspec import MigSpec, SliceState
from mig.names import ALLOCATION_ANNOTATION, CONDITION, GATE, REQUEST_ANNOTATION

Json = Mapping[str, Any]


class Step(StrEnum):
    """The steps of a Pod's way, in order."""

    CREATED = "created"
    RESERVED = "reserved"
    READY = "slice ready"
    UNGATED = "ungated"
    BOUND = "bound"
    RUNNING = "running"


@dataclass
class PodTrack:
    """What is known of one Pod; `steps` in seconds of the caller's clock."""

    namespace: str
    name: str
    uid: str
    profiles: Mapping[str, str] = field(default_factory=dict)
    steps: dict[Step, float] = field(default_factory=dict)
    phase: str = "Pending"
    node: str = ""
    reason: str = ""
    message: str = ""
    allocation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gone: bool = False

    def seconds(self, to: Step, since: Step = Step.CREATED) -> float | None:
        """From one step to another, or None while either is missing."""
        if to not in self.steps or since not in self.steps:
            return None
        return self.steps[to] - self.steps[since]


class Timeline:
    """All Pods that were seen, by uid, and the newest MigSpec of each node."""

    def __init__(self) -> None:
        self.pods: dict[str, PodTrack] = {}
        self.migspecs: dict[str, MigSpec] = {}
        self._submitted: dict[tuple[str, str], float] = {}

    def submitted(self, namespace: str, name: str, now: float) -> None:
        """A Pod is about to be sent: its way begins now, not when a watch first shows it."""
        self._submitted[namespace, name] = now

    def pod_seen(self, pod: Json, now: float) -> None:
        """One version of a Pod arrived."""
        metadata, status = pod["metadata"], pod.get("status") or {}
        track = self.pods.get(metadata["uid"])
        if track is None:
            track = PodTrack(metadata["namespace"], metadata["name"], metadata["uid"])
            self.pods[track.uid] = track
            self._mark(track, Step.CREATED, self._submitted.get((track.namespace, track.name), now))
            self._mark_slices(track, self.migspecs.values(), now)
        annotations = metadata.get("annotations") or {}
        track.profiles = _object(annotations.get(REQUEST_ANNOTATION))
        track.allocation = _object(annotations.get(ALLOCATION_ANNOTATION))
        track.phase = status.get("phase", "Pending")
        track.node = pod["spec"].get("nodeName", "")
        condition: Json = next((item for item in status.get("conditions") or () if item["type"] == CONDITION), {})
        track.reason, track.message = condition.get("reason", ""), condition.get("message", "")
        if track.phase == "Failed":
            track.reason, track.message = status.get("reason", ""), status.get("message", "")
        if not any(gate["name"] == GATE for gate in pod["spec"].get("schedulingGates") or ()):
            self._mark(track, Step.UNGATED, now)
        if track.node:
            self._mark(track, Step.BOUND, now)
        if track.phase in ("Running", "Succeeded"):
            self._mark(track, Step.RUNNING, now)

    def pod_gone(self, pod: Json) -> None:
        """A Pod was deleted."""
        track = self.pods.get(pod["metadata"]["uid"])
        if track is not None:
            track.gone = True

    def migspec_seen(self, migspec: MigSpec, now: float) -> None:
        """One version of a MigSpec arrived."""
        self.migspecs[migspec.name] = migspec
        for track in self.pods.values():
            if Step.READY not in track.steps:
                self._mark_slices(track, [migspec], now)

    def migspec_gone(self, name: str) -> None:
        """A MigSpec was deleted."""
        self.migspecs.pop(name, None)

    def named(self, name: str, namespace: str = "default") -> PodTrack | None:
        """The newest Pod of that name."""
        return next(
            (pod for pod in reversed(self.pods.values()) if (pod.namespace, pod.name) == (namespace, name)), None
        )

    def _mark_slices(self, track: PodTrack, migspecs: Iterable[MigSpec], now: float) -> None:
        for migspec in migspecs:
            held = [(gpu.uuid, item) for gpu, item, claim in migspec.spec.claims() if claim.uid == track.uid]
            if held:
                self._mark(track, Step.RESERVED, now)
                if all(_is_made(migspec, uuid, item.window.start) for uuid, item in held):
                    self._mark(track, Step.READY, now)

    @staticmethod
    def _mark(track: PodTrack, step: Step, now: float) -> None:
        track.steps.setdefault(step, now)


def _is_made(migspec: MigSpec, uuid: str, start: int) -> bool:
    status = migspec.status
    gpu = status.gpu(uuid) if status and status.observed_generation >= migspec.generation else None
    return gpu is not None and any(
        item.window.start == start and item.state in (SliceState.FREE, SliceState.USED) for item in gpu.slices
    )


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
