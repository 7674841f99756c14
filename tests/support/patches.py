"""Merge patches (RFC 7386) and the JSON-patch operations (RFC 6902) that we send, for the model API server."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.objectstore import StatusError


def merge(target: object, patch: object) -> Any:
    """Apply a merge patch."""
    if not isinstance(patch, Mapping):
        return patch
    merged: dict[str, Any] = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def json_patch(target: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply add, remove, replace and test; whatever does not apply is a 422 as the API server words it."""
    result = copy.deepcopy(dict(target))
    try:
        for operation in operations:
            _apply(result, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message) from error
    return result


def _apply(document: dict[str, Any], operation: Mapping[str, Any]) -> None:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    parent: Any = document
    for part in parents:
        parent = parent[int(part)] if isinstance(parent, list) else parent[part]
    key: Any = last
    if isinstance(parent, list) and last != "-":
        key = int(last)
    match operation["op"]:
        case "test":
            if parent[key] != operation["value"]:
                raise ValueError(f"test of {operation['path']} failed")
        case "remove":
            del parent[key]
        case "replace":
            parent[key]  # must exist
            parent[key] = operation["value"]
        case "add" if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else key, operation["value"])
        case "add":
            parent[key] = operation["value"]
        case other:
            raise ValueError(f"unknown operation {other}")
