"""What can go wrong with a simulated node, named by what the caller can do about it."""

from __future__ import annotations


class SimGpuError(Exception):
    """The common parent, for callers that only want to report."""


class UnknownGpuError(SimGpuError, ValueError):
    """A model, product or profile that the tables do not hold, or not well enough to simulate: name another."""


class BuildError(SimGpuError):
    """The library could not be compiled: the message carries the compiler's own words and what to install."""


class RefusedError(SimGpuError):
    """The simulated driver said no; `code` is the nvmlReturn_t (19 in use, 23 no room, 6 not found, 3 not supported)."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
