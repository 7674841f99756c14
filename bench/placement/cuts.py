"""What N equal GPUs can hold when every slice may be moved for nothing: a few linear cuts, exact in both directions.

The multisets of slices that one GPU can hold are the lattice points of a polytope P, the convex hull of everything below a maximal
layout; its facets are the cuts. N GPUs hold a multiset if and only if it satisfies each cut with N times its bound, provided that
every lattice point of N·P is a sum of N lattice points of P. `decomposes` checks that for N = 2 … d - 1 (d profiles), and that is
enough for all N: write a lattice point of N·P as Σ λ_i v_i over the corners of an empty lattice simplex of P. If some λ_i ≥ 1, v_i
can be split off. If all are < 1, then N = Σ λ_i ≤ d, and for N = d the point Σ (1 - λ_i) v_i would be a lattice point of that
simplex and none of its corners, which does not exist. So from N = d on something can always be split off.

The cuts know of windows and counts alone: a fleet of one shape, without foreign slices and narrowed by no geometry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull  # type: ignore[import-untyped]

from mig.occupancy import maximal_layouts, multiset
from mig.placements import GpuShape
from mig.profiles import Profile

Counts = tuple[int, ...]
"""How many slices of each profile, in the order of `Cuts.profiles`."""

_LARGEST_DENOMINATOR = 840
"""Bounds of these polytopes are 1 to 8; a fraction with a larger denominator would be noise of the hull's floats."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One facet: Σ weights · counts ≤ bound, for one GPU; times N for N of them. The numbers have no common factor."""

    weights: Counts
    bound: int


@dataclass(frozen=True, slots=True)
class Cuts:
    """All facets of one GPU's shape, and the lattice points that they enclose."""

    profiles: tuple[Profile, ...]
    facets: tuple[Cut, ...]
    points: frozenset[Counts]

    def hold(self, counts: Sequence[int], *, gpus: int) -> bool:
        """Whether `gpus` GPUs can hold these counts, every slice being free to lie anywhere."""
        return all(
            sum(weight * count for weight, count in zip(cut.weights, counts, strict=True)) <= gpus * cut.bound
            for cut in self.facets
        )


@lru_cache(maxsize=16)
def cuts_of(shape: GpuShape) -> Cuts:
    """The cuts of a shape, as integers, proven on its layouts.

    Raises `ArithmeticError` where the hull's floats do not turn into integers that describe the layouts exactly.
    """
    profiles = tuple(offer.profile for offer in shape.offers)
    tops = {tuple(dict(multiset(layout)).get(profile, 0) for profile in profiles) for layout in maximal_layouts(shape)}
    points = frozenset(below for top in tops for below in product(*(range(count + 1) for count in top)))
    cuts = Cuts(profiles, _facets(points), points)
    if lattice(cuts, gpus=1) != points:
        raise ArithmeticError(f"the cuts {cuts.facets} do not enclose exactly the {len(points)} layouts of one GPU")
    return cuts


def lattice(cuts: Cuts, *, gpus: int) -> frozenset[Counts]:
    """Every multiset that satisfies the cuts of `gpus` GPUs."""
    found: list[tuple[Counts, Counts]] = [((), tuple(gpus * cut.bound for cut in cuts.facets))]
    for index in range(len(cuts.profiles)):
        takes = tuple(cut.weights[index] for cut in cuts.facets)
        found = [
            ((*counts, more), tuple(room - more * take for room, take in zip(left, takes, strict=True)))
            for counts, left in found
            for more in range(_most(left, takes) + 1)
        ]
    return frozenset(counts for counts, _ in found)


def decomposes(cuts: Cuts, *, gpus: int) -> bool:
    """Whether each multiset that satisfies the cuts of `gpus` GPUs is one GPU's layout and one within those of `gpus - 1`.

    By induction it then fits GPU by GPU. Checked point by point, exactly.
    """
    points = np.array(sorted(lattice(cuts, gpus=gpus)), dtype=np.int64)
    weights = np.array([cut.weights for cut in cuts.facets], dtype=np.int64)
    rooms = (gpus - 1) * np.array([cut.bound for cut in cuts.facets], dtype=np.int64)
    open_ = np.ones(len(points), dtype=bool)
    for one in sorted(cuts.points, key=sum, reverse=True):
        rest = points[open_] - np.array(one, dtype=np.int64)
        open_[open_] = ~((rest >= 0).all(axis=1) & (rest @ weights.T <= rooms).all(axis=1))
    return not open_.any()


def _most(left: Counts, takes: Counts) -> int:
    return min(room // take for room, take in zip(left, takes, strict=True) if take)


def _facets(points: frozenset[Counts]) -> tuple[Cut, ...]:
    """The facets but for the trivial ones (no count is negative), each once."""
    equations: NDArray[np.float64] = ConvexHull(np.array(sorted(points))).equations
    facets = {_integral(row[:-1], -row[-1]) for row in equations if row[:-1].max() > 1e-9}
    return tuple(sorted(facets, key=lambda cut: (cut.bound, cut.weights)))


def _integral(weights: NDArray[np.float64], bound: float) -> Cut:
    """The facet with the smallest integers, read off its floats: every coefficient a fraction of the bound."""
    shares = [Fraction(float(weight) / bound).limit_denominator(_LARGEST_DENOMINATOR) for weight in weights]
    scale = lcm(*(share.denominator for share in shares))
    numbers = [int(share * scale) for share in shares]
    common = gcd(scale, *numbers)
    return Cut(tuple(number // common for number in numbers), scale // common)
