"""The JSON patch that makes a Pod wait for its slices: our gate, our label, our annotation, and nothing else.

Computed from the Pod as it was sent. Applied to its own result it is empty, so that the API server may call us again after
other webhooks (`reinvocationPolicy: IfNeeded`). Nothing is replaced or removed but our own keys.
"""

from collections.abc import Mapping
from typing import Any, Final

from mig.demand import request_to_annotation
from mig.names import GATE, POD_LABEL, POD_LABEL_VALUE, REQUEST_ANNOTATION
from mig.profiles import Profile
from webhook.shape import Json, mapping, objects

Operation = Mapping[str, Any]

ADD: Final = "add"
"""JSON patch's `add` replaces a key that is there, so it is all we need."""


def gating_patch(pod: Json, request: Mapping[str, Profile]) -> tuple[Operation, ...]:
    """The operations for a Pod whose containers ask for `request`."""
    metadata = mapping(pod.get("metadata"), where="metadata")
    return (
        *(() if isinstance(pod.get("metadata"), dict) else (_add("/metadata", {}),)),
        *_entry(metadata, "labels", key=POD_LABEL, value=POD_LABEL_VALUE),
        *_entry(metadata, "annotations", key=REQUEST_ANNOTATION, value=request_to_annotation(request)),
        *_gate(mapping(pod.get("spec"), where="spec")),
    )


def has_gate(spec: Json) -> bool:
    """Whether the Pod carries our scheduling gate already."""
    return any(gate.get("name") == GATE for gate in objects(spec.get("schedulingGates"), where="spec.schedulingGates"))


def escaped(key: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _entry(metadata: Json, parent: str, *, key: str, value: str) -> tuple[Operation, ...]:
    entries = mapping(metadata.get(parent), where=f"metadata.{parent}")
    if entries.get(key) == value:
        return ()
    if metadata.get(parent) is None:
        return (_add(f"/metadata/{parent}", {key: value}),)
    return (_add(f"/metadata/{parent}/{escaped(key)}", value),)


def _gate(spec: Json) -> tuple[Operation, ...]:
    if has_gate(spec):
        return ()
    if spec.get("schedulingGates") is None:
        return (_add("/spec/schedulingGates", [{"name": GATE}]),)
    return (_add("/spec/schedulingGates/-", {"name": GATE}),)


def _add(path: str, value: object) -> Operation:
    return {"op": ADD, "path": path, "value": value}
