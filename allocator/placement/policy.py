"""How good a GPU's state is: the value that placement maximises.

A policy is one function from a state to its terms: a constant, and a factor for the demand share of each profile. Their sum under
the learned mix is the value; placement takes, among all legal places, the largest value after less value before. The form lets a
new mix make new tables in milliseconds. What matters of a state is the set of placed slices, not the mask of occupied memory: a GPU
full of small instances rarely empties, so small goes with small.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, Protocol

from allocator.placement.states import StateSpace
from mig.placements import GpuShape

Terms = tuple[float, ...]
"""Of one state: the constant, then a factor per offer of the shape. V = terms[0] + Σ shares[kind] · terms[1 + kind]."""


class Policy(Protocol):
    """The whole interface of a placement policy; equal ones give equal terms."""

    def __hash__(self) -> int:
        """Its terms are kept by it."""

    def terms(self, space: StateSpace, state: int) -> Terms:
        """What the value of a state is made of; larger values are better."""

    def warm_margin(self, space: StateSpace) -> float:
        """By how much the value of reusing a warm slice may fall short of the best new place and still be taken."""


class Fgd:
    """V = -F: fragmentation gradient descent.

    With f the free memory slices, F = f · Σ d_p [profile p has no legal start]: the room that is lost to the profiles that no
    longer fit. Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
    Descent", USENIX ATC 2023, its measure carried over from shares of a GPU to MIG's windows.
    """

    def terms(self, space: StateSpace, state: int) -> Terms:
        """No constant: all of it is demand."""
        lost = space.free[state]
        return 0.0, *(-lost * (not space.places(state, kind)) for kind in range(len(space.shape.offers)))

    def warm_margin(self, space: StateSpace) -> float:  # noqa: ARG002 - one for all
        """Half of what a 1g loses by opening an empty GPU of eight memory slices."""
        return 0.5


class Tiny:
    """V = -F + 0.05 ME + 0.05 n²: fragmentation gradient descent with the number of instances added.

    With L_p the number of legal starts of profile p and n the number of instances: ME = Σ d_p L_p. Fits every grid, since it has no
    number that belongs to one. Source: a paired study on 100 GPUs of 80 GB; against plain fragmentation descent it accepts 0.3, 1.3
    and 0.1 points more slices on uniform, small and large mixes and 0.1 less on a bimodal one.
    """

    _STARTS: Final = 0.05
    _CROWD: Final = 0.05

    def terms(self, space: StateSpace, state: int) -> Terms:
        """The crowd is the constant."""
        free = space.free[state]
        starts = (len(space.places(state, kind)) for kind in range(len(space.shape.offers)))
        crowd = self._CROWD * len(space.windows(state)) ** 2
        return crowd, *(self._STARTS * count - free * (count == 0) for count in starts)

    def warm_margin(self, space: StateSpace) -> float:  # noqa: ARG002 - one for all
        """Opening an empty GPU costs about 1.2; half of that is more than any difference between two places on used GPUs."""
        return 0.5


@dataclass(frozen=True, slots=True)
class _Class:
    """A window class of the tuned grid: the profiles that lie there count alike, whatever a driver calls them."""

    lost: float
    starts: float
    small: bool


@dataclass(frozen=True, slots=True)
class _Coefficients:
    """From `coefficients.json`: what `bench.tuning` measured for one grid."""

    width: int
    margin: float
    classes: Mapping[tuple[int, tuple[int, ...]], _Class]
    features: Mapping[str, tuple[float, float]]
    """Feature → (its constant, its factor of s), s = 2 · (share of the small classes) - 1."""


class Tuned:
    """The default: one formula for all mixes, tuned on the 8-wide grid of the 80 GB cards; `Tiny` on every other grid.

    V = Σ d_p (b_p L_p - a_p f I_p) + Σ (c_i + s e_i) x_i, with I_p = 1 where p has no legal start, and x_i features of the state:
    the instances (n², n³, 1 + 1/2 + … + 1/n, whether none or one), those of each half, free and used room, aligned pairs of
    one-slice instances. Against plain fragmentation descent it accepts 0.4, 1.9, 0.2 and 0.4 points more slices on uniform, small,
    large and bimodal mixes (`make bench-placement`). Which cards share a grid is read from their windows, never from a name.
    """

    def __init__(self) -> None:
        self._tiny = Tiny()
        self._known = _shipped()

    def terms(self, space: StateSpace, state: int) -> Terms:
        """Each class with its own weights, and s, the lean to small ones, laid on the small ones."""
        classes = self._classes(space.shape)
        if classes is None:
            return self._tiny.terms(space, state)
        free, features = space.free[state], _features(space, state)
        constant = slope = 0.0
        for name, (fixed, by_sigma) in self._known.features.items():
            constant += (fixed - by_sigma) * features[name]
            slope += 2 * by_sigma * features[name]
        by_kind = []
        for kind, it in enumerate(classes):
            count = len(space.places(state, kind))
            by_kind.append(it.starts * count - it.lost * free * (count == 0) + slope * it.small)
        return constant, *by_kind

    def warm_margin(self, space: StateSpace) -> float:
        """Measured on 100 GPUs: see `coefficients.json`."""
        return self._tiny.warm_margin(space) if self._classes(space.shape) is None else self._known.margin

    def _classes(self, shape: GpuShape) -> Sequence[_Class] | None:
        return _classes_of(shape, self._known.width)


@lru_cache(maxsize=256)
def _classes_of(shape: GpuShape, width: int) -> tuple[_Class, ...] | None:
    """The window class of each offer, or None where some has none, so the card is cut otherwise."""
    known = _shipped().classes
    found = [known.get((offer.size, tuple(sorted(offer.starts)))) for offer in shape.offers]
    classes = tuple(item for item in found if item is not None)
    return classes if shape.width == width and classes and len(classes) == len(found) else None


def _features(space: StateSpace, state: int) -> Mapping[str, float]:
    """What a state counts in, whatever the demand."""
    windows, width = space.windows(state), space.shape.width
    half = width // 2
    ones = {start for start, size in windows if size == 1}
    low = sum(start < half and size < width for start, size in windows)
    high = sum(start >= half for start, _ in windows)
    used = [0, 0]
    for start, size in windows:
        used[0] += max(0, min(start + size, half) - start)
        used[1] += start + size - max(start, half) if start + size > half else 0
    count, free = len(windows), space.free[state]
    return {
        "crowd": count**2,
        "crowd_cubed": count**3,
        "halves": low**2 + high**2,
        "crowd_free": count * free,
        "used": (width - free) ** 2,
        "single": count == 1,
        "harmonic": sum(1 / nth for nth in range(1, count + 1)),
        "empty": count == 0,
        "pairs": sum({start, start + 1} <= ones for start in range(0, width, 2)),
        "halves_free": low * (half - used[0]) + high * (half - used[1]),
    }


@lru_cache(maxsize=1)
def _shipped() -> _Coefficients:
    data: dict[str, Any] = json.loads(files(__package__).joinpath("coefficients.json").read_text())["tuned"]
    return _Coefficients(
        width=data["width"],
        margin=data["warm_margin"],
        classes={
            (item["size"], tuple(item["starts"])): _Class(item["lost"], item["legal"], item["small"])
            for item in data["classes"]
        },
        features={name: (constant, by_sigma) for name, (constant, by_sigma) in data["features"].items()},
    )
