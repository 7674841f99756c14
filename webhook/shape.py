"""Reading a stranger's JSON object: each value is what it should be, or the Pod is refused with the path of the wrong one.

The API server sends well-formed Pods, so this is for whoever else speaks to us. Only what the rules read is looked at;
the rest passes unread and unchanged.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

MALFORMED: Final = 400
FORBIDDEN: Final = 403
_SHOWN_CHARACTERS: Final = 80


class RefusalError(Exception):
    """Why a Pod is refused, in words for its user; `code` is the HTTP status that the API server hands on."""

    def __init__(self, message: str, *, code: int = FORBIDDEN) -> None:
        super().__init__(message)
        self.code = code


def mapping(value: object, *, where: str) -> Json:
    """An object; null and absent count as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusalError(f"{where} is no JSON object; write it as Kubernetes' API reference shows", code=MALFORMED)
    return value


def sequence(value: object, *, where: str) -> Sequence[object]:
    """A list; null and absent count as empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RefusalError(f"{where} is no JSON list; write it as Kubernetes' API reference shows", code=MALFORMED)
    return value


def objects(value: object, *, where: str) -> Sequence[Json]:
    """A list of objects, none of them null."""
    found: list[Json] = []
    for index, item in enumerate(sequence(value, where=where)):
        if not isinstance(item, dict):
            raise RefusalError(f"{where}[{index}] is no JSON object", code=MALFORMED)
        found.append(item)
    return found


def text(value: object, *, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise RefusalError(f"{where} is missing or no text", code=MALFORMED)
    return value


def shown(value: object) -> str:
    """A user's text, quoted, in ASCII and cut short, so that it can stand in a message and in a log."""
    quoted = json.dumps(value) if isinstance(value, str) else ascii(value)
    return quoted if len(quoted) <= _SHOWN_CHARACTERS else f"{quoted[:_SHOWN_CHARACTERS]}…"
