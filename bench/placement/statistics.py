"""Means and paired differences with their 95 % confidence intervals.

Two policies meet the same arrivals, seed by seed, so what differs between seeds cancels in the difference. Intervals are Student's
t on the seeds as independent samples; nothing here corrects for looking at many rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from scipy.stats import t  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and half the width of its 95 % interval (infinite for one sample alone)."""

    mean: float
    half: float
    samples: int

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.mean + self.half

    def scaled(self, factor: float) -> "Estimate":
        """In another unit, say percent."""
        return Estimate(self.mean * factor, self.half * abs(factor), self.samples)


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent samples, at least one."""
    if len(values) == 1:
        return Estimate(values[0], float("inf"), 1)
    quantile = float(t.ppf(0.975, len(values) - 1))
    return Estimate(fmean(values), quantile * stdev(values) / sqrt(len(values)), len(values))


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate:
    """The mean difference over the seeds that both have, at least one. Raises `ValueError` where they share none."""
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        raise ValueError("no seed was run with both; give both policies the same seeds")
    return estimate([ours[seed] - theirs[seed] for seed in seeds])
