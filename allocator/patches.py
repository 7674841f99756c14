"""Decisions as JSON patches: each with the tests that make it void when its object is not what was decided on.

A spec is compared by generation, not by resourceVersion: only changes of the spec raise it, so the agent's many status writes
do not get in the way, and of two allocators that write one spec only one succeeds. A Pod is compared by resourceVersion, since
anything about it may matter.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from allocator.decisions import Outcome, PodWrite, Write
from allocator.placement.fleet import Reason
from allocator.pods import MigPod
from mig.migspec_json import spec_to_json
from mig.names import AGENT_LABEL, ALLOCATION_ANNOTATION, CONDITION, GATE

Operation = Mapping[str, Any]


def spec_patch(write: Write) -> list[Operation]:
    """Replace the spec of that very object at that very generation."""
    return [
        {"op": "test", "path": "/metadata/uid", "value": write.uid},
        {"op": "test", "path": "/metadata/generation", "value": write.generation},
        {"op": "replace", "path": "/spec", "value": spec_to_json(write.spec)},
    ]


def fence_patch(*, uid: str, epoch: int) -> list[Operation]:
    """Put a new term's epoch into a spec, whatever else it says; the API server refuses to lower it."""
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "replace", "path": "/spec/leaderEpoch", "value": epoch},
    ]


def agent_label_patch(*, present: bool) -> dict[str, Any]:
    """A merge patch of a Node."""
    return {"metadata": {"labels": {AGENT_LABEL: "true" if present else None}}}


def pod_status_patch(write: PodWrite, *, now: datetime) -> list[Operation]:
    """Condition and nomination in one; empty where the Pod has them already."""
    pod = write.pod
    operations: list[Operation] = []
    if write.outcome is not None and not _says(pod, write.outcome):
        operations.append(_condition(pod, write.outcome, now))
    if write.nominate is not None and pod.nominated != write.nominate:
        operations.append({"op": "add", "path": "/status/nominatedNodeName", "value": write.nominate})
    return [_is_as_read(pod), *operations] if operations else []


def pod_patch(write: PodWrite, pod: MigPod) -> list[Operation]:
    """Annotation and gate in one, on the Pod as its status patch left it; empty where there is nothing to do."""
    operations: list[Operation] = []
    if write.allocation is not None:
        if not pod.has_annotations:
            operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
        path = f"/metadata/annotations/{ALLOCATION_ANNOTATION.replace('~', '~0').replace('/', '~1')}"
        operations.append({"op": "add", "path": path, "value": write.allocation})
    if write.ungate and GATE in pod.gates:
        gate = f"/spec/schedulingGates/{pod.gates.index(GATE)}"
        operations.append({"op": "test", "path": f"{gate}/name", "value": GATE})
        operations.append({"op": "remove", "path": gate})
    return [_is_as_read(pod), *operations] if operations else []


def _is_as_read(pod: MigPod) -> Operation:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": pod.resource_version}


def _says(pod: MigPod, outcome: Outcome) -> bool:
    told = pod.condition
    return told is not None and (told.status, told.reason, told.message) == (
        _status(outcome),
        outcome.reason.value,
        outcome.message,
    )


def _condition(pod: MigPod, outcome: Outcome, now: datetime) -> Operation:
    told = pod.condition
    status = _status(outcome)
    since = told.since if told is not None and told.status == status and told.since else _time(now)
    condition = {
        "type": CONDITION,
        "status": status,
        "reason": outcome.reason.value,
        "message": outcome.message,
        "lastTransitionTime": since,
    }
    if told is not None:
        return {"op": "replace", "path": f"/status/conditions/{told.index}", "value": condition}
    if pod.has_conditions:
        return {"op": "add", "path": "/status/conditions/-", "value": condition}
    return {"op": "add", "path": "/status/conditions", "value": [condition]}


def _status(outcome: Outcome) -> str:
    return "True" if outcome.reason is Reason.ALLOCATED else "False"


def _time(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
