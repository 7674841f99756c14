"""The MigSpec schema takes all that our own writer writes and names the place of what is wrong (S5, A12)."""

from copy import deepcopy
from typing import Any

import pytest

from mig.migspec import (
    Claim,
    Condition,
    Holder,
    MigMode,
    SliceState,
    Spec,
    SpecGpu,
    SpecSlice,
    Status,
    StatusGpu,
    StatusSlice,
)
from mig.migspec_json import new_migspec, status_to_json
from mig.placements import Window
from mig.profiles import parse_profile
from schemas import check, schema
from tests.support.shapes import shapes

THREE, ONE = parse_profile("3g.40gb"), parse_profile("1g.10gb+me")
CLAIM = Claim("0f3a", "main", "default", "train-0")
SPEC = Spec(
    7, (SpecGpu("GPU-1", (SpecSlice(Window(0, 1), ONE), SpecSlice(Window(4, 4), THREE, CLAIM))), SpecGpu("GPU-2"))
)


def full() -> dict[str, Any]:
    """An object in which every field that the writer knows is there."""
    slices = [
        StatusSlice(Window(place, 1), ONE, state, f"MIG-{place}", owned=state is not SliceState.FOREIGN, message="why")
        for place, state in enumerate(SliceState)
    ]
    slices.append(StatusSlice(Window(4, 4), THREE, SliceState.USED, "MIG-9", holder=Holder("ns", "pod", "uid", "main")))
    gpus = [
        StatusGpu(f"GPU-{mode}", place, "NVIDIA A100-SXM4-80GB", mode, 8, shapes()["a100-80gb"].offers, tuple(slices))
        for place, mode in enumerate(MigMode)
    ]
    status = Status(
        12,
        boot_id="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        driver_version="580.65.06",
        gpus=tuple(gpus),
        conditions=(Condition("Converged", "False", "Converging", "two slices to go", 12, "2026-01-01T00:00:00Z"),),
    )
    return new_migspec(node="n1", node_uid="u", spec=SPEC) | {"status": status_to_json(status)}


def test_everything_that_the_writer_writes_is_accepted() -> None:
    """Each state, each MIG mode, with and without a claim, a holder and a message."""
    assert check("migspec", full()) == []


def test_the_schema_knows_every_field_that_the_writer_writes() -> None:
    """An API server prunes a field that the CRD does not know: a report would lose it in silence."""
    assert list(unknown(full(), schema("migspec"))) == []


def unknown(document: Any, node: Any, path: str = "") -> list[str]:
    """Paths in the document that the schema does not name."""
    if "$ref" in node:
        node = schema("migspec")["$defs"][node["$ref"].removeprefix("#/$defs/")]
    if isinstance(document, list):
        return [fault for item in document for fault in unknown(item, node["items"], f"{path}[]")]
    if not isinstance(document, dict) or path == ".metadata":
        return []
    known, others = node.get("properties", {}), node.get("additionalProperties")
    faults = [f"{path}.{name}" for name in document if name not in known and others is None]
    children = {name: known.get(name, others) for name in document if name in known or others is not None}
    return faults + [
        fault for name, child in children.items() for fault in unknown(document[name], child, f"{path}.{name}")
    ]


def test_a_field_of_a_newer_version_passes() -> None:
    document = full()
    document["spec"]["gpus"][0]["colour"] = "green"
    assert check("migspec", document) == []


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("kind",), "Migspec", "kind: "),
        (("spec",), [], "spec: "),
        (("spec", "leaderEpoch"), None, "spec.leaderEpoch: "),
        (("spec", "leaderEpoch"), -1, "spec.leaderEpoch: "),
        (("spec", "leaderEpoch"), True, "spec.leaderEpoch: "),
        (("spec", "gpus", 0, "slices", 1, "profile"), "3g40gb", "spec.gpus[0].slices[1].profile: "),
        (("spec", "gpus", 0, "slices", 1, "profile"), "1c.3g.40gb", "spec.gpus[0].slices[1].profile: "),
        (("spec", "gpus", 0, "slices", 1, "start"), "4", "spec.gpus[0].slices[1].start: "),
        (("spec", "gpus", 0, "slices", 1, "size"), 0, "spec.gpus[0].slices[1].size: "),
        (("spec", "gpus", 0, "slices", 1, "claim", "uid"), "", "spec.gpus[0].slices[1].claim.uid: "),
        (("spec", "gpus", 0, "slices"), [{}] * 17, "spec.gpus[0].slices: "),
        (("status", "observedGeneration"), 1.5, "status.observedGeneration: "),
        (("status", "gpus", 0, "migMode"), "On", "status.gpus[0].migMode: "),
        (("status", "gpus", 0, "slices", 0, "state"), "Busy", "status.gpus[0].slices[0].state: "),
        (("status", "conditions", 0, "reason"), "not a reason", "status.conditions[0].reason: "),
    ],
)
def test_what_is_wrong_is_named_with_its_path(path: tuple[str | int, ...], value: object, where: str) -> None:
    """S5: an unknown form is refused where it stands, and nothing beside it."""
    document = full()
    set_at(document, path, value)
    errors = check("migspec", document)
    assert errors
    assert all(error.startswith((where, where.removesuffix(": ") + "[")) for error in errors), errors


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("spec",), "leaderEpoch"),
        (("spec", "gpus", 0), "uuid"),
        (("spec", "gpus", 0, "slices", 0), "size"),
        (("spec", "gpus", 0, "slices", 1, "claim"), "container"),
        (("status", "gpus", 0, "slices", 0), "owned"),
    ],
)
def test_a_missing_field_is_named(path: tuple[str | int, ...], name: str) -> None:
    document = full()
    del at(document, path)[name]
    [error] = check("migspec", document)
    assert repr(name) in error


def test_a_document_wrong_throughout_yields_a_screen_of_messages_and_no_more() -> None:
    """A12: what a stranger wrote is quoted in bounds."""
    document = full()
    document["spec"]["gpus"] = [{"uuid": "x" * 100_000, "slices": [{"start": "y" * 100_000}] * 16}] * 16
    errors = check("migspec", document)
    assert len(errors) == 20
    assert max(map(len, errors)) < 400


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def set_at(document: Any, path: tuple[str | int, ...], value: object) -> None:
    at(document, path[:-1])[path[-1]] = deepcopy(value)
