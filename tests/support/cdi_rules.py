"""What the CDI specification demands of a description, written down as rules, so that ours can be held against them.

The specification is the Container Device Interface's, releases 0.3.0 to 1.0.0: the form of a description, the letters of names,
and the release from which each field exists. Runtimes refuse a file that breaks one of these rules, with all its devices.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

_ANNOTATIONS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_NAME: Final = r"^[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$"
_QUALIFIER: Final = r"^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_STRINGS: Final = {"type": "array", "items": {"type": "string"}}
_PATH: Final = {"type": "string", "minLength": 1}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


_NODE: Final = _object(
    "path",
    path=_PATH,
    hostPath=_PATH,
    type={"enum": ["b", "c", "u", "p"]},
    major={"type": "integer", "minimum": 0},
    minor={"type": "integer", "minimum": 0},
    fileMode={"type": "integer"},
    permissions={"type": "string", "pattern": "^[rwm]*$"},
    uid={"type": "integer"},
    gid={"type": "integer"},
)
_HOOK: Final = _object(
    "hookName path",
    hookName={
        "enum": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
    },
    path=_PATH,
    args=_STRINGS,
    env=_STRINGS,
    timeout={"type": "integer"},
)
_MOUNT: Final = _object(
    "hostPath containerPath", hostPath=_PATH, containerPath=_PATH, type={"type": "string"}, options=_STRINGS
)
_EDITS: Final = _object(
    "",
    env={"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}},
    deviceNodes={"type": "array", "items": _NODE},
    hooks={"type": "array", "items": _HOOK},
    mounts={"type": "array", "items": _MOUNT},
    additionalGids={"type": "array", "items": {"type": "integer", "minimum": 1}},
)
_DEVICE: Final = _object(
    "name containerEdits",
    name={"type": "string", "pattern": _NAME},
    annotations=_ANNOTATIONS,
    containerEdits={**_EDITS, "minProperties": 1},
)
_DESCRIPTION: Final = _object(
    "cdiVersion kind devices",
    cdiVersion={"enum": ["0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0"]},
    kind={"type": "string", "pattern": f"{_QUALIFIER}/{_QUALIFIER[1:]}$"},
    annotations=_ANNOTATIONS,
    devices={"type": "array", "minItems": 1, "items": _DEVICE},
    containerEdits=_EDITS,
)


def violations(description: object) -> list[str]:
    """Every rule that a description breaks; empty where runtimes take it."""
    found = [error.message for error in Draft202012Validator(_DESCRIPTION).iter_errors(description)]
    if found or not isinstance(description, Mapping):
        return found
    names = [each["name"] for each in description["devices"]]
    if len(set(names)) < len(names):
        found.append("two devices of one name")
    needed = max(_needed(description))
    if needed > tuple(map(int, description["cdiVersion"].split("."))):
        found.append(f"has fields of {needed}, and says {description['cdiVersion']}")
    return found


def _needed(description: Mapping[str, Any]) -> Iterator[tuple[int, int, int]]:
    yield 0, 3, 0
    parts = [description, *description["devices"]]
    for part in parts:
        edits = part.get("containerEdits") or {}
        if any("hostPath" in node for node in edits.get("deviceNodes") or ()):
            yield 0, 5, 0
        if part.get("annotations"):
            yield 0, 6, 0
        if edits.get("additionalGids"):
            yield 0, 7, 0
