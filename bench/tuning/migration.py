"""How near to free migration a budget of moves comes, with the planner and the budget as they are shipped and U2 for a known mix.

    python -m bench.tuning.migration [--seeds 20] [--every 50 20] [--most 2] [--declared] [--mixes uniform small large bimodal]

Prints, paired with FGD on seeds that nothing was chosen by: memory slices accepted in points over FGD, the share of the way from
FGD to free migration with its 95 % interval, moves made, and what a plan cost. `--declared`: the budget is told how long a slice
stays. The benchmark measures the same on the engine as shipped, with a learned mix and warm slices.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allocator.placement.budget import Budget, worth
from allocator.placement.durations import tuned
from allocator.placement.migration import Plan, Planner
from allocator.placement.moves import Group, Slot
from allocator.placement.states import EMPTY, StateSpace, space_of
from bench.gpu import a100, plain
from bench.placement.cuts import cuts_of
from bench.placement.free_migration import FreeMigration
from bench.tuning import kernel, values
from bench.tuning.loads import ARRIVALS, CUT, GPUS, MIXES, shares, trace
from bench.tuning.tables import Floats, Tables, tables_of
from mig.profiles import Profile
from simulate.load import Arrival, Load, generate, named_load, slice_sizes
from simulate.placer import Placer, Spot
from simulate.replay import replay

FIRST_SEED = 40_000


class Known:
    """A table of numbers as the planner's values."""

    def __init__(self, space: StateSpace, numbers: Floats) -> None:
        self.space = space
        self._numbers: list[float] = numbers.tolist()

    def value(self, state: int) -> float:
        """Of a state."""
        return self._numbers[state]


@dataclass(slots=True)
class Lying:
    """A slice and where it is now."""

    gpu: int
    slot: Slot


class Mover:
    """The largest gain first; a slice that finds no place may have others moved."""

    def __init__(self, known: Known, rules: kernel.Rules, *, every: int, most: int, declared: bool) -> None:
        self._known = known
        self._space = known.space
        self._best: list[list[float]] = rules.best.tolist()
        self._move: list[list[int]] = np.argmax(rules.gain, axis=2).tolist()
        self._states = [EMPTY] * GPUS
        self._on: list[dict[Slot, Lying]] = [{} for _ in range(GPUS)]
        self._where: dict[int, Lying] = {}
        self._budget = Budget(every)
        self._planner = Planner()
        self._most = most
        self._declared = declared
        self.moves = 0
        self.took: list[float] = []

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:
        """On the GPU of the largest gain; else by moves, if they are worth it."""
        self._budget.arrived()
        kind = self._space.kinds[profile]
        gpu = max(range(GPUS), key=lambda gpu: self._best[self._states[gpu]][kind])
        state = self._states[gpu]
        if self._best[state][kind] > kernel.NEVER:
            return self._take(gpu, (kind, self._space.places(state, kind)[self._move[state][kind]][0]))
        lasts = until - now if self._declared and until is not None else 1.0
        return self._by_moves(profile, kind, lasts)

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - a Placer's
        """Where it lies now, not where it was put."""
        lying = self._where.pop(id(spot))
        self._drop(lying)

    def _by_moves(self, profile: Profile, kind: int, lasts: float) -> Spot | None:
        if not self._budget.moves:
            return None
        began = time.perf_counter()
        members: dict[tuple[int, tuple[Slot, ...]], list[int]] = {}
        for gpu, (state, lying) in enumerate(zip(self._states, self._on, strict=True)):
            members.setdefault((state, tuple(sorted(lying))), []).append(gpu)
        groups = [Group(self._known, state, len(gpus), slots) for (state, slots), gpus in members.items()]
        plan = self._planner.plan(profile, groups, most=min(self._most, self._budget.moves))
        self.took.append(time.perf_counter() - began)
        if plan is None:
            return None
        shape = self._space.shape
        free = sum(self._space.free[state] for state in self._states) / (GPUS * shape.width)
        brings = worth(plan, size=shape.offers[kind].size, free=free, lasts=lasts)
        if not self._budget.spend(brings, moves=len(plan.moves)):
            return None
        return self._carry_out(plan, kind, list(members.values()))

    def _carry_out(self, plan: Plan, kind: int, members: Sequence[Sequence[int]]) -> Spot:
        moving = []
        for move in plan.moves:
            slot = self._space.kinds[move.placed.profile], move.placed.window.start
            lying = self._on[members[move.source[0]][move.source[1]]][slot]
            self._drop(lying)
            moving.append((lying, members[move.target[0]][move.target[1]], (slot[0], move.start)))
        spot = self._take(members[plan.gpu[0]][plan.gpu[1]], (kind, plan.start))
        for lying, gpu, slot in moving:
            lying.gpu, lying.slot = gpu, slot
            self._put(lying)
        self.moves += len(plan.moves)
        return spot

    def _take(self, gpu: int, slot: Slot) -> Spot:
        spot = Spot(gpu, self._space.placed[slot[0]][slot[1]])
        lying = self._where[id(spot)] = Lying(gpu, slot)
        self._put(lying)
        return spot

    def _put(self, lying: Lying) -> None:
        self._states[lying.gpu] = self._space.after(self._states[lying.gpu], *lying.slot)
        self._on[lying.gpu][lying.slot] = lying

    def _drop(self, lying: Lying) -> None:
        kind, start = lying.slot
        self._states[lying.gpu] = self._space.without(self._states[lying.gpu], self._space.placed[kind][start])
        del self._on[lying.gpu][lying.slot]


@dataclass(frozen=True, slots=True)
class Row:
    """One seed: points over FGD and share of the way, moves, and the mean cost of a plan in milliseconds."""

    points: float
    way: float
    moves: int
    cost: float


class Study:
    """What one mix is measured with."""

    def __init__(self, mix: str) -> None:
        self.mix = mix
        self.space = space_of(plain(a100()))
        self.tables: Tables = tables_of(self.space)
        share = shares(mix, self.space.shape)
        self.fgd = kernel.rules_of(self.tables, values.fgd(self.space, share), tuned().coefficients, looks=0)
        numbers = values.u2(self.space, share)
        self.rules = kernel.rules_of(self.tables, numbers, tuned().coefficients, looks=0)
        self.known = Known(self.space, numbers)

    def rows(self, seed: int, *, everies: Sequence[int], most: int, declared: bool) -> list[Row]:
        """One seed, for each budget."""
        plain_trace = trace(self.mix, seed, shape=self.space.shape, declaring=None)
        low = kernel.accepted(self.tables, plain_trace, kernel.run(self.tables, self.fgd, plain_trace), cut=CUT)
        arrivals = self._arrivals(seed)
        high = self._accepted(arrivals, FreeMigration(self.space.shape, cuts_of(self.space.shape), gpus=GPUS))
        rows = []
        for every in everies:
            mover = Mover(self.known, self.rules, every=every, most=most, declared=declared)
            points = self._accepted(arrivals, mover) - low
            cost = 1e3 * float(np.mean(mover.took)) if mover.took else 0.0
            rows.append(Row(points, points / (high - low), mover.moves, cost))
        return rows

    def _arrivals(self, seed: int) -> list[Arrival]:
        load = Load(mix=named_load(self.mix), load=1.0, arrivals=ARRIVALS, lifetime=1.0)
        shape = self.space.shape
        rows = generate(load, shapes=[shape] * GPUS, seed=seed)
        return [Arrival(row.at, row.lasts, row.profile, declared=row.lasts) for row in rows]

    def _accepted(self, arrivals: Sequence[Arrival], placer: Placer) -> float:
        sizes = slice_sizes([self.space.shape])
        outcome = replay(arrivals, placer, sizes=sizes, slices=GPUS * self.space.shape.width, warm_up=CUT)
        tallies = outcome.profiles.values()
        offered = sum(tally.offered * tally.size for tally in tallies)
        return 100 * sum(tally.accepted * tally.size for tally in tallies) / offered


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.tuning.migration")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--every", type=int, nargs="+", default=[50, 20], help="arrivals for one move")
    parser.add_argument("--most", type=int, default=2, help="moves of one plan")
    parser.add_argument("--declared", action="store_true", help="tell the budget how long a slice stays")
    parser.add_argument("--mixes", nargs="+", default=list(MIXES))
    options = parser.parse_args()
    for mix in options.mixes:
        study = Study(mix)
        seeds = range(options.first, options.first + options.seeds)
        runs = [study.rows(seed, everies=options.every, most=options.most, declared=options.declared) for seed in seeds]
        for every, rows in zip(options.every, zip(*runs, strict=True), strict=True):
            way = np.array([row.way for row in rows])
            margin = 196 * way.std(ddof=1) / len(way) ** 0.5
            points, moves, cost = (
                float(np.mean([getattr(row, name) for row in rows])) for name in ("points", "moves", "cost")
            )
            print(
                f"{mix:8} 1 in {every}: {points:+.2f} points, {100 * way.mean():.0f} ± {margin:.0f} % of the way,"
                f" {moves:.0f} moves, {cost:.1f} ms a plan",
                flush=True,
            )


if __name__ == "__main__":
    main()
