"""The Lease object as leader election reads and writes it, and when another's claim to it has run out. Pure.

All judgement of time is by the reader's own monotonic clock, from the moment it saw the object's version change: the
times that stand in the object are for humans, and a wall clock that jumps changes nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kube.events import micro_time
from kube.resource import LEASES

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a stored Lease says. Fields that make no sense read as absent, since anybody may have edited it."""

    holder: str
    transitions: int
    duration_s: float
    version: str
    uid: str
    annotations: Mapping[str, str]
    raw: JsonObject = field(compare=False)

    @classmethod
    def read(cls, raw: JsonObject) -> "LeaseRecord":
        """Read a raw object."""
        spec = raw.get("spec") or {}
        metadata = raw.get("metadata") or {}
        holder, transitions = spec.get("holderIdentity"), spec.get("leaseTransitions")
        duration = spec.get("leaseDurationSeconds")
        return cls(
            holder=holder if isinstance(holder, str) else "",
            transitions=transitions if isinstance(transitions, int) and transitions > 0 else 0,
            duration_s=float(duration) if isinstance(duration, int) and duration > 0 else 0.0,
            version=str(metadata.get("resourceVersion") or ""),
            uid=str(metadata.get("uid") or ""),
            annotations=dict(metadata.get("annotations") or {}),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Sighting:
    """A version of the Lease, and when (own monotonic clock, seconds) it was first seen."""

    record: LeaseRecord
    seen_s: float

    def then(self, record: LeaseRecord, now_s: float) -> "Sighting":
        """Take in what a later read showed; an unchanged version keeps the time of its first sight."""
        same = (record.uid, record.version) == (self.record.uid, self.record.version)
        return self if same else Sighting(record, now_s)

    def is_free(self, *, identity: str, now_s: float, lease_s: float) -> bool:
        """Say whether ``identity`` may take the Lease over.

        It may when nobody holds it, when the holder let it run out, or when the holder is itself: an earlier write of
        its own whose answer was lost. The longer of the two durations counts, so that holder and candidate may be
        configured differently while a change of configuration is rolled out.
        """
        if self.record.holder in {"", identity}:
            return True
        return now_s - self.seen_s >= max(lease_s, self.record.duration_s)


@dataclass(frozen=True, slots=True)
class LeaseWriter:
    """Makes the objects that one candidate writes."""

    namespace: str
    name: str
    identity: str
    lease_s: float

    def first(self, *, epoch: int, now: datetime) -> JsonObject:
        """Make a Lease where there was none."""
        bare: JsonObject = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
        }
        return self._held(bare, epoch=epoch, now=now, annotations={}, acquired=True)

    def taken(self, record: LeaseRecord, *, epoch: int, now: datetime) -> JsonObject:
        """Take over a Lease that is free; only over the version that was read."""
        return self._held(record.raw, epoch=epoch, now=now, annotations={}, acquired=True)

    def renewed(self, record: LeaseRecord, *, now: datetime, annotations: Mapping[str, str]) -> JsonObject:
        """Renew our own Lease."""
        return self._held(record.raw, epoch=record.transitions, now=now, annotations=annotations, acquired=False)

    def released(self, record: LeaseRecord, *, now: datetime) -> JsonObject:
        """Give our own Lease up, so that a successor need not wait; the epoch stays."""
        held = self._held(record.raw, epoch=record.transitions, now=now, annotations={}, acquired=False)
        held["spec"]["holderIdentity"] = ""
        return held

    def _held(
        self, raw: JsonObject, *, epoch: int, now: datetime, annotations: Mapping[str, str], acquired: bool
    ) -> JsonObject:
        metadata = dict(raw["metadata"])
        if annotations:
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
        spec = {
            **(raw.get("spec") or {}),
            "holderIdentity": self.identity,
            "leaseTransitions": epoch,
            # The API server wants whole seconds of at least one; rounding up is the safe side.
            "leaseDurationSeconds": max(1, math.ceil(self.lease_s)),
            "renewTime": micro_time(now),
        }
        if acquired:
            spec["acquireTime"] = micro_time(now)
        return {**raw, "metadata": metadata, "spec": spec}
