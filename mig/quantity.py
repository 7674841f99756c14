"""Kubernetes quantities (`1`, `"1000m"`, `"1e0"`, `"64Mi"`) as exact numbers.

The grammar is the API server's; anything that it would refuse raises `QuantityError`, and so does a number whose exponent is
beyond what any resource has, since an exact power of ten of a stranger's choosing is a way to fill memory.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40}))(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?",
    re.ASCII,
)
_MAX_EXPONENT: Final = 30
"""10^18 is the largest suffix (`E`), 10^-9 the smallest (`n`)."""
_SUFFIXES: Final[dict[str, Fraction]] = {
    "": Fraction(1),
    **{suffix: Fraction(10) ** (3 * power) for suffix, power in zip("num", (-3, -2, -1), strict=True)},
    **{suffix: Fraction(10) ** (3 * power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


class QuantityError(ValueError):
    """A value that is no Kubernetes quantity, or one beyond every bound."""


def parse_quantity(value: object) -> Fraction:
    """Read one quantity exactly: a text, or a JSON integer as clients may send it.

    Raises `QuantityError` with the value in its message.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise QuantityError(f"{value!r} is not a quantity; write an integer such as 1")
    return _parse(str(value) if isinstance(value, str) or abs(value) < 10**_MAX_EXPONENT else "too large")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Fraction:
    """Few texts recur in every Pod; only what is a quantity, hence short, is kept."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise QuantityError(f"{_shown(text)} is not a quantity; write an integer such as 1")
    suffix = match["suffix"] or ""
    scale = _SUFFIXES.get(suffix)
    if scale is None:
        exponent = int(suffix[1:])
        if abs(exponent) > _MAX_EXPONENT:
            raise QuantityError(f"{_shown(text)} is out of range; write an integer such as 1")
        scale = Fraction(10) ** exponent
    return _number(match["number"]) * scale


def _number(text: str) -> Fraction:
    """Python's Fraction refuses the API server's `1.`."""
    return Fraction(text.removesuffix("."))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
