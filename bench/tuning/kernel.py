"""One run of a fleet in loss mode, compiled: what the search and the study measure a policy with.

For each arrival of unknown lifetime the move of the largest gain is taken, for a declared one that of the largest score of
`allocator.placement.outlook`, among the GPUs of the highest ceilings; among equals the first GPU and its lowest start. A plain
Python loop over the allocator's own classes does the same in the tests, choice by choice.
"""

from typing import NamedTuple

import numpy as np

from allocator.placement.durations import Coefficients
from allocator.placement.outlook import LOOKS
from allocator.placement.states import StateSpace
from bench.tuning.compiled import compiled
from bench.tuning.loads import GPUS, Trace
from bench.tuning.tables import Floats, Ints, Tables

NEVER = -1e18
"""Less than any score."""

FREE = -1.0
"""The end of a memory slice on which nothing lies, or something of unknown end."""


class Rules(NamedTuple):
    """What decides: the gains of all moves, and the coefficients of the penalty in the rows GPU, half."""

    gain: Floats
    """[S, K, M]"""
    best: Floats
    """[S, K] the largest gain of a state, `NEVER` where nothing fits."""
    value: Floats
    """[S]"""
    weights: Floats
    """[2, 3] for the GPU and the half: outlives, outlived, alone."""
    curve: float
    now: float
    horizon: float
    looks: int
    """GPUs that are scored for one slice of declared lifetime, at most."""


class Ask(NamedTuple):
    """One arrival: times in mean lifetimes, `now` on the trace's clock."""

    kind: int
    lasts: float
    now: float


class Fleet(NamedTuple):
    """What lies where; changed in place."""

    state: Ints
    """[G]"""
    ends: Floats
    """[G, width] declared ends by memory slice, `FREE` where nothing lies or the end is unknown."""
    heap: Floats
    """[G * width + 1, 3] true ends with GPU and start, a binary heap."""


def rules_of(tables: Tables, value: Floats, coefficients: Coefficients, *, looks: int = LOOKS) -> Rules:
    """The rules for one value table; for declared lifetimes the adjustments are in it already."""
    gain = np.where(tables.after >= 0, value[tables.after] - value[:, None, None], NEVER)
    scopes = (coefficients.gpu, coefficients.half)
    weights = np.array([(scope.outlives, scope.outlived, scope.alone) for scope in scopes])
    return Rules(
        gain, gain.max(axis=2), value, weights, coefficients.curve, coefficients.now, coefficients.horizon, looks
    )


def adjusted(space: StateSpace, value: Floats, coefficients: Coefficients) -> Floats:
    """A value table for declared lifetimes."""
    return np.asarray(value + np.array([coefficients.value.of(space, state) for state in range(len(space))]))


def run(
    tables: Tables, plain: Rules, trace: Trace, *, declared: Rules | None = None, scale: float = 1.0, gpus: int = GPUS
) -> Ints:
    """[arrivals, 2]: the GPU and the start of each arrival, -1 where it was refused.

    `plain` decides for lifetimes that nobody declared, `declared` for the others; `scale` is the mean declared lifetime in the
    trace's unit.
    """
    taken: Ints = _run(tables, (plain, declared or plain), trace, scale, gpus)
    return taken


def accepted(tables: Tables, trace: Trace, taken: Ints, *, cut: int) -> float:
    """Memory slices accepted, in percent of those asked for, the first `cut` arrivals left out."""
    sizes = tables.size[trace.kind][cut:]
    return float(100 * sizes[taken[cut:, 0] >= 0].sum() / sizes.sum())


@compiled
def _part(weights: Floats, lasts: float, ends: Floats, now: float, curve: float) -> float:
    """The penalty of one scope; `ends` are those of its memory slices."""
    end = ends.max()
    if end < 0:
        return float(weights[2] * np.log1p(curve * lasts))
    over = lasts - max(0.0, end - now)
    if over > 0:
        return float(weights[0] * np.log1p(curve * over))
    return float(weights[1] * np.log1p(-curve * over))


@compiled
def _in_half(tables: Tables, rules: Rules, ask: Ask, start: int, ends: Floats) -> float:
    """The penalty of the half of a window."""
    half = tables.half[ask.kind, start]
    if half < 0:
        return float(rules.weights[1, 2] * np.log1p(rules.curve * ask.lasts))
    return _part(rules.weights[1], ask.lasts, ends[half : half + tables.half_size], ask.now, rules.curve)


@compiled
def _ahead(tables: Tables, rules: Rules, lasts: float, move: tuple[int, int], known: tuple[Floats, Ints]) -> float:
    """The gains in the states to come. `move` are the states before and after, `known` is from `_known`."""
    (before, after), (lefts, starts) = move, known
    total, weight = 0.0, 1.0
    for index in range(lefts.shape[0]):
        if lefts[index] >= lasts:
            break
        later = np.exp(-lefts[index] / rules.horizon)
        total += (weight - later) * (rules.value[after] - rules.value[before])
        weight = later
        before, after = tables.without[before, starts[index]], tables.without[after, starts[index]]
    return float(total + (weight - np.exp(-lasts / rules.horizon)) * (rules.value[after] - rules.value[before]))


@compiled
def _known(tables: Tables, state: int, ends: Floats, now: float) -> tuple[Floats, Ints]:
    """What lies on a GPU and has a known end: time left and first slices, by end (few: sorted by insertion)."""
    lefts, starts = np.empty(ends.shape[0]), np.empty(ends.shape[0], np.int64)
    count = 0
    for slot in range(ends.shape[0]):
        if tables.without[state, slot] >= 0 and ends[slot] >= 0:
            left = max(0.0, ends[slot] - now)
            place = count
            while place > 0 and lefts[place - 1] > left:
                lefts[place], starts[place] = lefts[place - 1], starts[place - 1]
                place -= 1
            lefts[place], starts[place] = left, slot
            count += 1
    return lefts[:count], starts[:count]


@compiled
def _pick_by_value(rules: Rules, state: Ints, kind: int) -> tuple[int, int]:
    """The GPU and the move of the largest gain, -1 where nothing fits."""
    best, gpu = NEVER, -1
    for here in range(state.shape[0]):
        if rules.best[state[here], kind] > best:
            best, gpu = rules.best[state[here], kind], here
    return gpu, int(np.argmax(rules.gain[state[gpu], kind])) if gpu >= 0 else -1


@compiled
def _pick_by_ends(tables: Tables, rules: Rules, ask: Ask, state: Ints, ends: Floats) -> tuple[int, int]:
    """The GPU and the move of the largest score, among the GPUs of the highest ceilings."""
    wholes = np.zeros(state.shape[0])
    ceilings = np.full(state.shape[0], NEVER)
    for here in range(state.shape[0]):
        if rules.best[state[here], ask.kind] > NEVER:
            wholes[here] = _part(rules.weights[0], ask.lasts, ends[here], ask.now, rules.curve)
            ceilings[here] = rules.now * rules.best[state[here], ask.kind] - wholes[here]
    best, gpu, move = NEVER, -1, -1
    for _ in range(min(rules.looks, state.shape[0])):
        here = int(np.argmax(ceilings))
        if ceilings[here] == NEVER:
            break
        ceilings[here] = NEVER
        before = state[here]
        known = _known(tables, before, ends[here], ask.now)
        for option in range(tables.options[before, ask.kind]):
            after, start = tables.after[before, ask.kind, option], tables.start[before, ask.kind, option]
            score = rules.now * rules.gain[before, ask.kind, option] - wholes[here]
            score += _ahead(tables, rules, ask.lasts, (before, after), known)
            score -= _in_half(tables, rules, ask, start, ends[here])
            if score > best:
                best, gpu, move = score, here, option
    return gpu, move


@compiled
def _push(heap: Floats, size: int, entry: Floats) -> None:
    """Put an entry (end, GPU, start) into a binary heap of `size` entries."""
    place = size
    while place > 0 and heap[(place - 1) // 2, 0] > entry[0]:
        heap[place] = heap[(place - 1) // 2]
        place = (place - 1) // 2
    heap[place] = entry


@compiled
def _pop(heap: Floats, size: int) -> None:
    """Remove the first of `size` entries."""
    last = heap[size - 1].copy()
    place = 0
    while 2 * place + 1 < size - 1:
        child = 2 * place + 1
        if child + 1 < size - 1 and heap[child + 1, 0] < heap[child, 0]:
            child += 1
        if heap[child, 0] >= last[0]:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = last


@compiled
def _end_all(tables: Tables, fleet: Fleet, size: int, now: float) -> int:
    """Take away what has ended; the number of slices that are left."""
    while size and fleet.heap[0, 0] <= now:
        gpu, start = int(fleet.heap[0, 1]), int(fleet.heap[0, 2])
        before = fleet.state[gpu]
        after = fleet.state[gpu] = tables.without[before, start]
        fleet.ends[gpu, start : start + tables.free[after] - tables.free[before]] = FREE
        _pop(fleet.heap, size)
        size -= 1
    return size


@compiled
def _run(tables: Tables, rules: tuple[Rules, Rules], trace: Trace, scale: float, gpus: int) -> Ints:
    width = tables.without.shape[1]
    fleet = Fleet(np.zeros(gpus, np.int64), np.full((gpus, width), FREE), np.empty((gpus * width + 1, 3)))
    size = 0
    taken = np.full((trace.at.shape[0], 2), -1, np.int64)
    for index in range(trace.at.shape[0]):
        now, kind, told = trace.at[index], trace.kind[index], trace.told[index]
        size = _end_all(tables, fleet, size, now)
        if told < 0:
            gpu, move = _pick_by_value(rules[0], fleet.state, kind)
        else:
            gpu, move = _pick_by_ends(tables, rules[1], Ask(kind, told / scale, now / scale), fleet.state, fleet.ends)
        if gpu < 0:
            continue
        start = tables.start[fleet.state[gpu], kind, move]
        taken[index, 0], taken[index, 1] = gpu, start
        fleet.state[gpu] = tables.after[fleet.state[gpu], kind, move]
        fleet.ends[gpu, start : start + tables.size[kind]] = FREE if told < 0 else (now + told) / scale
        _push(fleet.heap, size, np.array((now + trace.lasts[index], float(gpu), float(start))))
        size += 1
    return taken
