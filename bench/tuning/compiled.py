"""Numba's decorator with a type that keeps the function's own."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """The function, compiled to machine code when it is first called."""
    return cast("_F", cast("Any", numba).njit(function))
