"""The clairvoyant bound: what somebody could accept at most who knows all arrivals and moves slices for nothing.

A linear programme. x_j in [0, 1] says how much of arrival j is accepted; after each arrival that an end follows, the accepted
slices that still run must satisfy the packing cuts of the fleet. It relaxes twice, by free migration and by accepting fractions,
so no policy can pass it, online or not, with or without moves. One running total a cut, tied to the last by what came and what
ended since, keeps the matrix sparse: about four entries an arrival and cut.

Both sides of a share count from the same arrival on. Counted from later than the first, the bound may empty its fleet just before,
which makes it looser, by at most 0.3 points of the slices where it was measured (8,000 arrivals, a quarter of them warm-up).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog  # type: ignore[import-untyped]
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from bench.placement.cuts import Cuts
from mig.profiles import Profile
from simulate.load import Arrival

_Entry = tuple[int, float]
"""A variable's index and its coefficient in one row."""


class Unsolved(Exception):
    """The solver found no optimum in its time; the message is the solver's own."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The optimum: memory slices accepted of those offered, both of what counts, and how much of each arrival was accepted."""

    accepted: float
    offered: int
    chosen: NDArray[np.float64]


def clairvoyant(
    arrivals: Sequence[Arrival],
    cuts: Cuts,
    *,
    sizes: Mapping[Profile, int],
    gpus: int,
    warm_up: int = 0,
    limit_s: float = 120.0,
) -> Bound:
    """The most memory slices of all arrivals from number `warm_up` on that any schedule can accept.

    `arrivals` in order of time, over the cuts' profiles; `sizes` in memory slices by profile. Raises `Unsolved`
    where the solver does not finish within about `limit_s` seconds.
    """
    count, facets = len(arrivals), len(cuts.facets)
    if not count:
        return Bound(0.0, 0, np.zeros(0))
    weights = {p: [cut.weights[i] for cut in cuts.facets] for i, p in enumerate(cuts.profiles)}
    steps = list(_steps(arrivals))
    rows = [row for number, step in enumerate(steps) for row in _rows(number, step, arrivals, weights, facets)]
    worth = np.array([sizes[a.profile] if n >= warm_up else 0 for n, a in enumerate(arrivals)], dtype=float)
    rooms = [float(gpus * cut.bound) for cut in cuts.facets]
    answer = linprog(
        np.concatenate([-worth, np.zeros(len(rows))]),
        A_eq=_matrix(rows, columns=count + len(rows)),
        b_eq=np.zeros(len(rows)),
        bounds=[(0.0, 1.0)] * count + [(0.0, room) for _ in steps for room in rooms],
        method="highs-ipm",  # with its crossover to a corner; four times as fast as the simplex on 8,000 arrivals
        options={"time_limit": limit_s},
    )
    if answer.status != 0:
        raise Unsolved(str(answer.message))
    return Bound(-float(answer.fun), int(worth.sum()), answer.x[:count])


def _steps(arrivals: Sequence[Arrival]) -> Iterator[tuple[list[int], list[int]]]:
    """(came, ended): runs of arrivals with no end between them, each with what ended just before it.

    Usage only grows within a run, so what holds behind its last arrival holds throughout. An end comes before an arrival of the
    same instant, as in the replay.
    """
    running: list[tuple[float, int]] = []
    came: list[int] = []
    ended: list[int] = []
    for number, arrival in enumerate(arrivals):
        if running and running[0][0] <= arrival.at:
            if came:
                yield came, ended
            came, ended = [], []
            while running and running[0][0] <= arrival.at:
                ended.append(heappop(running)[1])
        came.append(number)
        heappush(running, (arrival.at + arrival.lasts, number))
    yield came, ended


def _rows(
    number: int,
    step: tuple[list[int], list[int]],
    arrivals: Sequence[Arrival],
    weights: Mapping[Profile, Sequence[int]],
    facets: int,
) -> Iterator[list[_Entry]]:
    """One equation a cut: the total now - the total before - what came + what ended = 0."""
    came, ended = step
    for facet in range(facets):
        total = len(arrivals) + number * facets + facet
        row: list[_Entry] = [(total, 1.0)]
        if number:
            row.append((total - facets, -1.0))
        for signed, numbers in ((-1.0, came), (1.0, ended)):
            row += [(n, signed * weight) for n in numbers if (weight := weights[arrivals[n].profile][facet])]
        yield row


def _matrix(rows: Sequence[Sequence[_Entry]], *, columns: int) -> csr_array:
    """The rows as a sparse matrix."""
    ends = np.cumsum([0, *(len(row) for row in rows)])
    indices = [index for row in rows for index, _ in row]
    values = [value for row in rows for _, value in row]
    return csr_array((values, indices, ends), shape=(len(rows), columns))
