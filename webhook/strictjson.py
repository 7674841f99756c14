"""JSON from a stranger, strictly: UTF-8, no NaN, no duplicate keys, no deep nesting, in time and memory linear in its size.

Python's parser alone would take NaN, keep the last of two equal keys and recurse as deep as it is told. The depth is
bounded before parsing, at the speed of C.
"""

import json
from itertools import accumulate
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 50
"""Levels. A review of a Pod has about 12, with managedFields about 20."""

_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_NO_STRUCTURE: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"\\')
_DOWN: Final = b"\x01"
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down is +1, one up is -1, as signed bytes."""


class JsonError(ValueError):
    """Bytes that are not the JSON we take; the message says what is wrong with them."""


def parse(body: bytes) -> Any:
    """Parse one document. Raises `JsonError`."""
    if not body.strip():
        raise JsonError("the body is empty")
    if deeper_than(body, MAX_DEPTH):
        raise JsonError(f"nested deeper than {MAX_DEPTH} levels")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from error
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}") from error


def deeper_than(body: bytes, depth: int) -> bool:
    """Whether brackets nest deeper than that: the running sum of +1 and -1, after a look for an unbroken run of openers."""
    steps = _brackets(body).translate(_STEPS)
    return _DOWN * (depth + 1) in steps or max(accumulate(memoryview(steps).cast("b")), default=0) > depth


def _brackets(body: bytes) -> bytes:
    """The brackets outside of strings, in order."""
    # A string without brackets leaves two quotes side by side. When taking such pairs away leaves no quote, an even number
    # stands before each bracket, so none is within a string; backslashes would upset that count.
    structure = body.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    if b'"' not in structure and b"\\" not in structure:
        return structure
    # Without escaped quotes every second piece between quotes is outside of strings.
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2]).translate(None, _NO_BRACKETS)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
