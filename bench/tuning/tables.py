"""The states of a GPU as flat arrays, for a kernel that cannot call Python.

Made from the allocator's own `StateSpace` and `halves_of`, so the kernel knows no rule of its own about what may lie where.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allocator.placement.durations import halves_of
from allocator.placement.states import StateSpace
from mig.placements import GpuShape, Window

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Tables(NamedTuple):
    """S states, K kinds, at most M starts a kind. Widths and sizes are in memory slices."""

    options: Ints
    """[S, K] how many legal starts."""
    start: Ints
    """[S, K, M] the legal starts, ascending."""
    after: Ints
    """[S, K, M] the state after a slice was put there."""
    without: Ints
    """[S, width] the state once the slice that begins there is gone."""
    free: Ints
    """[S] free memory slices."""
    size: Ints
    """[K] memory slices."""
    half: Ints
    """[K, width] first slice of the half in which a window lies, -1 where it fills it."""
    half_size: int


def tables_of(space: StateSpace) -> Tables:
    """The arrays of an explored space."""
    states, kinds, width = len(space), len(space.shape.offers), space.shape.width
    most = max(len(offer.starts) for offer in space.shape.offers)
    count = np.zeros((states, kinds), np.int64)
    start, after = np.full((2, states, kinds, most), -1, np.int64)
    without = np.full((states, width), -1, np.int64)
    for state in range(states):
        for kind in range(kinds):
            places = space.places(state, kind)
            count[state, kind] = len(places)
            for move, (begin, then) in enumerate(places):
                start[state, kind, move], after[state, kind, move] = begin, then
                without[then, begin] = state
    return Tables(
        count,
        start,
        after,
        without,
        np.array(space.free),
        np.array([offer.size for offer in space.shape.offers]),
        _halves(space.shape),
        space.shape.width // 2,
    )


def _halves(shape: GpuShape) -> Ints:
    halves = halves_of(shape)
    found = np.full((len(shape.offers), shape.width), -1, np.int64)
    for kind, offer in enumerate(shape.offers):
        for begin in offer.starts:
            half = halves[Window(begin, offer.size)]
            found[kind, begin] = -1 if half is None else half.start
    return found
