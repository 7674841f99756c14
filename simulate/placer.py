"""What the simulator drives: anything that places one slice at a time on a fleet of GPUs, the shipped engine or a policy beside it.

A placer owns the state of its fleet. Virtual time is in seconds. Equal calls in equal order give equal answers; a placer that
needs chance is given a seeded generator when it is made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mig.occupancy import Placed
from mig.profiles import Profile


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a slice lies: the GPU by its index in the fleet, its place there, and whether a warm slice was `reused`."""

    gpu: int
    placed: Placed
    reused: bool = False


class Placer(Protocol):
    """One policy at work on one fleet."""

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:
        """Take a place for a slice, or None where the policy finds none. `until`: when it ends, if that was declared."""

    def release(self, spot: Spot, *, now: float) -> None:
        """A slice that was placed has ended."""


@runtime_checkable
class Holding(Protocol):
    """A placer whose GPUs need not be empty at the beginning."""

    def hold(self, gpu: int, placed: Iterable[Placed]) -> None:
        """These slices, and no others, lie on the GPU from the beginning, and stay. Only before the first `place`."""
