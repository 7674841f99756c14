"""What a declared lifetime adds to a place's value: slices that end together leave whole GPUs and halves free together.

The penalty is in the unit of the value tables and is taken off a move's gain. It is never negative, so a gain is an upper bound
of a score, and it grows on either side of the moment at which the GPU's last slice ends: a search may stop early and lose nothing.
Only differences between places of one demand mean something. Slices without a declared lifetime get no penalty, and nothing here
reads a clock: all times are in seconds from now, and the scale of time is an argument.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import exp, log, log1p
from typing import Any, Final, Self

from allocator.placement.states import StateSpace
from mig.placements import GpuShape, Window

_EULER: Final = 0.5772156649015329
"""The mean of ln(mean / x) over exponential x: turns a mean of logarithms into the mean of exponential lifetimes."""

_HALF_LIFE: Final = 500
"""Declared lifetimes after which an old one counts half: that of the learned demand mix."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What one scope counts: by how much the new slice `outlives` all in it, is `outlived` there, or comes `alone` into it."""

    outlives: float
    outlived: float
    alone: float


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What is added to the value of a state for slices of declared lifetime.

    Tables tuned without lifetimes take the number of instances as a sign of when a GPU empties, and here that is known. With n
    instances and f free memory slices of w: `empty` if n = 0, `crowd` n², `harmonic` 1 + 1/2 + … + 1/n, `crowd_free` n·f, `used`
    (w - f)², `pairs` the aligned pairs that hold two smallest instances.
    """

    empty: float
    crowd: float
    harmonic: float
    crowd_free: float
    used: float
    pairs: float

    def of(self, space: StateSpace, state: int) -> float:
        """The addend for one state."""
        windows = space.windows(state)
        count, free, width = len(windows), space.free[state], space.shape.width
        unit = min((offer.size for offer in space.shape.offers), default=0)
        ones = {start for start, size in windows if size == unit}
        pairs = sum(start % (2 * unit) == 0 and start + unit in ones for start in ones)
        return (
            self.empty * (count == 0)
            + self.crowd * count**2
            + self.harmonic * sum(1 / nth for nth in range(1, count + 1))
            + self.crowd_free * count * free
            + self.used * (width - free) ** 2
            + self.pairs * pairs
        )


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Tuned numbers, from `coefficients.json`; `bench.tuning.search` makes them.

    `curve` is per mean lifetime, `horizon` in mean lifetimes; `now` is what the present gain weighs beside all the later ones.
    """

    gpu: Weights
    half: Weights
    curve: float
    now: float
    horizon: float
    value: Adjustments

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From the JSON object under "durations". Raises `ValueError` where a number would break the promise of a bound."""
        gpu, half = Weights(**data["gpu"]), Weights(**data["half"])
        rest = {name: float(data[name]) for name in ("curve", "now", "horizon")}
        lowest = min(*rest.values(), *(min(w.outlives, w.outlived, w.alone) for w in (gpu, half)))
        if lowest < 0 or not rest["horizon"]:
            raise ValueError(
                'a coefficient under "durations" is negative, or the horizon is 0; run bench.tuning.search to make them anew'
            )
        return cls(gpu=gpu, half=half, value=Adjustments(**data["value"]), **rest)


class Durations:
    """The penalty as a function; one object serves all GPUs."""

    def __init__(self, coefficients: Coefficients) -> None:
        self.coefficients = coefficients
        self._curve = coefficients.curve
        self._gpu = coefficients.gpu
        self._half = coefficients.half

    def of_gpu(self, lasts: float, left: float | None, *, scale: float) -> float:
        """The GPU's part: a lower bound of `penalty` for every window of it, and the same for all of them."""
        return _part(self._gpu, lasts, left, self._curve / scale)

    def penalty(self, lasts: float, *, scale: float, gpu: float | None, half: float | None) -> float:
        """How much less a place is worth to a slice that declares to last `lasts` seconds.

        `gpu` and `half` are the seconds until the last slice there ends, None where nothing of known end lies (also where the
        window fills its half: that is so at all places of a profile or at none). `scale` is the mean declared lifetime, above 0.
        """
        curve = self._curve / scale
        return _part(self._gpu, lasts, gpu, curve) + _part(self._half, lasts, half, curve)


def _part(weights: Weights, lasts: float, left: float | None, curve: float) -> float:
    """Concave: whether ends differ at all counts more than by how much, and so a lifetime that is wrong by a factor does little."""
    if left is None:
        return weights.alone * log1p(curve * lasts)
    over = lasts - left if left > 0 else lasts
    return weights.outlives * log1p(curve * over) if over > 0 else weights.outlived * log1p(-curve * over)


@dataclass(frozen=True, slots=True)
class Scale:
    """The mean declared lifetime, learned: the unit in which lifetimes are compared.

    Exponentially weighted, and from logarithms, so that one job of a year among jobs of minutes does not move it far; for
    exponential lifetimes it is their mean.
    """

    mean_log: float = 0.0
    weight: float = 0.0

    @property
    def seconds(self) -> float | None:
        """The mean, or None while nothing was declared."""
        return exp(self.mean_log + _EULER) if self.weight else None

    def after(self, lasts: float) -> "Scale":
        """The scale once one more lifetime, above 0 seconds, was declared."""
        weight = self.weight * 0.5 ** (1 / _HALF_LIFE) + 1
        return Scale(self.mean_log + (log(lasts) - self.mean_log) / weight, weight)


@lru_cache(maxsize=256)
def halves_of(shape: GpuShape) -> dict[Window, Window | None]:
    """The half of the grid in which each legal window of a shape lies, None where it fills or crosses it."""
    size = shape.width // 2
    return {window: _half_around(window, size) for offer in shape.offers for window in offer.windows()}


def _half_around(window: Window, size: int) -> Window | None:
    if window.size >= size:
        return None
    half = Window(window.start // size * size, size)
    return half if window.end <= half.end else None


@lru_cache(maxsize=1)
def tuned() -> Durations:
    """With the coefficients that are shipped."""
    data = json.loads(files(__package__).joinpath("coefficients.json").read_text())
    return Durations(Coefficients.read(data["durations"]))
