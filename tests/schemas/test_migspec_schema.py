"""The MigSpec schema takes all that our own writer writes and names the place of what is wrong (S5, A12)."""

from copy import deepcopy
from typing import Any

import pytest

from schemas import check, schema
from tests.support.migspecs import full_migspec as full


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
