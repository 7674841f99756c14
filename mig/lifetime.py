"""How long a Pod is expected to run, as its user declares it: read here for the webhook and the allocator alike.

`nos.nebuly.com/expected-duration` is an estimate, `activeDeadlineSeconds` the limit at which the kubelet ends the Pod whatever was
estimated: so the smaller of both counts where both are there. A declaration decides only where a slice goes, never whether there
is one: what cannot be read counts as not declared.
"""

import re
from contextlib import suppress
from functools import lru_cache
from typing import Final

from mig.names import DURATION_ANNOTATION

LONGEST_S: Final = (2**63 - 1) / 1e9
"""The longest duration that Go knows, 292 years."""

SHORTEST_S: Final = 1e-9
"""Go's unit; what is shorter is nothing to it."""

_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
"""Seconds a unit. Both Greek letters are Go's: the micro sign and the mu."""

_NUMBER: Final = r"(?:\d+\.?\d*|\.\d+)"
_PART: Final = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION: Final = re.compile(rf"\+?(?:{_NUMBER}(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_SECONDS: Final = re.compile(_NUMBER, re.ASCII)
_LONGEST_TEXT: Final = 64
_SHOWN: Final = 40


class DurationError(ValueError):
    """A text that is no duration above 0; the message says what to write."""


def parse_duration(value: object) -> float:
    """Seconds of a Go duration (`90m`, `2h30m`, `1.5h`) or of a plain number of seconds (`5400`).

    Raises `DurationError` for anything else, for nothing (`0s`) and less, and for what is longer than Go can say.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise _error(value)
    return _parse(value)


@lru_cache(maxsize=1024)
def _parse(text: str) -> float:
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    elif _DURATION.fullmatch(text):
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    else:
        raise _error(text)
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise _error(text)
    return seconds


def _error(value: object) -> DurationError:
    shown = ascii(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return DurationError(f"{shown} is no duration above 0; write 90m, 36h or seconds")


def declared_lifetime(*, annotation: object, deadline: object) -> float | None:
    """Seconds from start to end by `expected-duration` and `activeDeadlineSeconds`, either None where it is not there."""
    known = []
    if annotation is not None:
        # Whoever wrote one that cannot be read was warned by the webhook.
        with suppress(DurationError):
            known.append(parse_duration(annotation))
    if isinstance(deadline, int) and not isinstance(deadline, bool) and 0 < deadline <= LONGEST_S:
        known.append(float(deadline))
    return min(known, default=None)


def complaint(annotation: object) -> str | None:
    """What to tell the author of an `expected-duration` that cannot be read, in one short line; None where all is well."""
    if annotation is None:
        return None
    try:
        parse_duration(annotation)
    except DurationError as error:
        return f"{DURATION_ANNOTATION} is ignored: {error}"
    return None
