"""What a replay came to: requests and slices accepted, how full the fleet was, how long Pods waited.

Requests and slices are always both there: a policy that refuses every large Pod looks good by requests alone.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, fsum
from typing import NamedTuple

from mig.occupancy import Placed
from mig.profiles import Profile


class Stay(NamedTuple):
    """A slice at its place from `begin` to `end`, in seconds of virtual time."""

    begin: float
    end: float
    gpu: int
    placed: Placed


@dataclass(frozen=True, slots=True)
class Waits:
    """Waiting times in seconds; percentiles are nearest-rank."""

    mean: float
    p50: float
    p95: float
    longest: float


@dataclass(slots=True)
class Tally:
    """What was asked for one profile and what was given; `size` in memory slices, `waits` in seconds, by those placed."""

    size: int
    offered: int = 0
    accepted: int = 0
    reused: int = 0
    waits: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(frozen=True)
class Outcome:
    """One replay in figures.

        `span`: the seconds that were measured; over them `utilisation` is the mean share of memory slices in use, `gpus_in_use` the
    mean number of GPUs with a slice in use; `gpus_peak` is the most at once. `gpus_touched` are all that ever had one, the warm-up
        included. `stays` only where they were recorded.
    """

    profiles: Mapping[Profile, Tally]
    span: float
    utilisation: float
    gpus_in_use: float
    gpus_peak: int
    gpus_touched: int = 0
    stays: tuple[Stay, ...] = ()

    @property
    def offered(self) -> int:
        """Requests made."""
        return sum(tally.offered for tally in self.profiles.values())

    @property
    def accepted(self) -> int:
        """Requests that got a slice."""
        return sum(tally.accepted for tally in self.profiles.values())

    @property
    def slices_offered(self) -> int:
        """Memory slices asked for."""
        return sum(tally.offered * tally.size for tally in self.profiles.values())

    @property
    def slices_accepted(self) -> int:
        """Memory slices given."""
        return sum(tally.accepted * tally.size for tally in self.profiles.values())

    @property
    def requests_share(self) -> float:
        """Accepted requests of the offered ones, 1.0 where nothing was asked for."""
        return self.accepted / self.offered if self.offered else 1.0

    @property
    def slices_share(self) -> float:
        """Accepted slices of the offered ones, 1.0 where nothing was asked for."""
        return self.slices_accepted / self.slices_offered if self.slices_offered else 1.0

    @property
    def reused_share(self) -> float:
        """Placements that took a warm slice, of all placements."""
        return sum(tally.reused for tally in self.profiles.values()) / self.accepted if self.accepted else 0.0

    @cached_property
    def waits(self) -> Mapping[Profile, Waits]:
        """Waiting times by profile, of those who got a slice; empty in loss mode."""
        return {profile: summary(tally.waits) for profile, tally in self.profiles.items() if tally.waits}

    @cached_property
    def all_waits(self) -> Waits | None:
        """Waiting times of everybody who got a slice; None in loss mode."""
        every = [wait for tally in self.profiles.values() for wait in tally.waits]
        return summary(every) if every else None


def summary(waits: Iterable[float]) -> Waits:
    """Mean, percentiles and maximum of at least one waiting time."""
    ordered = sorted(waits)
    return Waits(
        mean=fsum(ordered) / len(ordered),
        p50=_nearest(ordered, 0.50),
        p95=_nearest(ordered, 0.95),
        longest=ordered[-1],
    )


def _nearest(ordered: list[float], share: float) -> float:
    return ordered[ceil(share * len(ordered)) - 1]
