"""The JSON Schemas of everything that somebody else writes and we read, and the one way to check a document against them.

They are JSON Schema 2020-12 files beside this module: `migspec` (the CRD is generated from it by `schemas.crd`), `geometries` (the
ConfigMap and the chart's values), the two annotations, and `simulated-cluster` (what `nos-mig simulate` works on). A schema says
shape, ranges and spelling; what needs two fields at once (overlaps, double claims) stands in it as CEL for the API server and is
not judged here; nor are formats.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Name = Literal["migspec", "geometries", "mig-request", "mig-allocation", "simulated-cluster"]

_MOST_ERRORS: Final = 20
"""A wholly wrong document has one fault a leaf; more than a screen of them helps nobody."""
_MOST_CHARACTERS: Final = 300
"""A message quotes the offending value, which may be as large as the document."""


@cache
def schema(name: Name) -> Mapping[str, Any]:
    """The schema as a document."""
    text = files(__name__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@cache
def validator(name: Name) -> "Validator":
    """The compiled validator, made once; jsonschema is imported here, so that importing `schemas` costs nothing."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - the import is what is put off

    Draft202012Validator.check_schema(schema(name))
    return Draft202012Validator(schema(name))


def check(name: Name, document: Any) -> list[str]:
    """What is wrong with a document, each as `path: what is wrong`, in the order of their paths; empty where nothing is."""
    errors = sorted(
        validator(name).iter_errors(document), key=lambda error: [str(step) for step in error.absolute_path]
    )
    return [f"{_path(error.absolute_path)}: {_shortened(error.message)}" for error in errors[:_MOST_ERRORS]]


def _path(steps: Iterable[object]) -> str:
    """A path as people write it: `spec.gpus[0].slices[1].start`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "(document)"


def _shortened(message: str) -> str:
    return message if len(message) <= _MOST_CHARACTERS else message[:_MOST_CHARACTERS] + "…"
