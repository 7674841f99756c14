"""The value tables of the study, one number a state: FGD, and U2 for a known demand mix.

U2 and its coefficients are written down here for the 8-wide grid and the six plain profiles, in the order of the plain offers
of an 80 GB card: 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb.
"""

from collections.abc import Sequence

import numpy as np

from allocator.placement.states import StateSpace
from bench.tuning.tables import Floats

LOST = (2.092, -0.704, 0.184, 1.363, 2.563, 0.889)
STARTS = (0.937, 0.345, 1.197, 0.281, 0.469, -0.231)
TIE = 1e-4
"""Less than any difference of value that means something: it only decides between equals."""


def fgd(space: StateSpace, mix: Sequence[float]) -> Floats:
    """V = -f Σ d_p [p has no legal start], ties to the fuller GPU by a term that grows with the square of what is used."""
    free = np.array(space.free, float)
    lost = sum(share * (_starts(space)[:, kind] == 0) for kind, share in enumerate(mix))
    return np.asarray(-free * lost + TIE * (space.shape.width - free) ** 2)


def u2(space: StateSpace, mix: Sequence[float]) -> Floats:
    """The study's formula for all mixes."""
    starts = _starts(space)
    share = np.array(mix)
    free, count, low, high, low_free, high_free, harmonic, pairs = np.array(
        [_features(space, state) for state in range(len(space))]
    ).T
    sigma = 2 * share[:3].sum() - 1
    value = -free * ((starts == 0) @ (np.array(LOST) * share)) + starts @ (np.array(STARTS) * share)
    value += (-0.097 + 0.199 * sigma) * count**2 + (0.0004 - 0.006 * sigma) * count**3
    value += (0.113 - 0.196 * sigma) * (low**2 + high**2) + (-0.173 + 0.152 * sigma) * count * free
    value += (-0.0002 - 0.0138 * sigma) * (8 - free) ** 2 + (1.06 - 0.98 * sigma) * (count == 1)
    value += (1.92 - 2.06 * sigma) * harmonic + (6.21 + 1.54 * sigma) * (count == 0)
    value += (0.819 - 0.42 * sigma) * pairs + (0.074 - 0.138 * sigma) * (low * low_free + high * high_free)
    return np.asarray(value)


def _starts(space: StateSpace) -> Floats:
    kinds = range(len(space.shape.offers))
    return np.array([[len(space.places(state, kind)) for kind in kinds] for state in range(len(space))], float)


def _features(space: StateSpace, state: int) -> tuple[float, ...]:
    """Free slices, instances, those of the lower and upper half, free slices of each half, harmonic number, full pairs."""
    windows = space.windows(state)
    used = [0] * 8
    for start, size in windows:
        used[start : start + size] = [1] * size
    ones = {start for start, size in windows if size == 1}
    return (
        8 - sum(used),
        len(windows),
        sum(start < 4 and size < 8 for start, size in windows),
        sum(start >= 4 for start, _ in windows),
        4 - sum(used[:4]),
        4 - sum(used[4:]),
        sum(1 / n for n in range(1, len(windows) + 1)),
        sum({start, start + 1} <= ones for start in (0, 2, 4, 6)),
    )
