"""Runs the cells of a plan, two at a time, each in a process that does nothing else."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context

from bench.gpu import a100, plain
from bench.placement.clairvoyant import clairvoyant
from bench.placement.contestants import CLAIRVOYANT, CONTESTANTS, Setting
from bench.placement.cuts import cuts_of
from bench.placement.plan import GPUS, Cell, Plan, mean_mix
from bench.placement.results import Figures, Results
from simulate.load import Arrival, Declaring, Load, generate, named_load, slice_sizes
from simulate.replay import replay

WARM_UP_SHARE = 0.25
"""Of the arrivals: until the fleet is as full as it stays."""


def measure(plan: Plan, *, workers: int = 2) -> Results:
    """Run all cells of a plan."""
    results = Results()
    cells = list(plan.cells())
    began = time.monotonic()
    for done, (cell, figures) in enumerate(_each(cells, workers=workers), start=1):
        results.add(cell, figures)
        if done % 20 == 0 or done == len(cells):
            print(f"  {done} of {len(cells)} cells, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return results


def _each(cells: Sequence[Cell], *, workers: int) -> Iterator[tuple[Cell, dict[str, Figures]]]:
    if workers == 1:
        yield from map(run, cells)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(run, cells)


def run(cell: Cell) -> tuple[Cell, dict[str, Figures]]:
    """All contestants of a cell on the same arrivals."""
    return cell, {name: _bound(cell) if name == CLAIRVOYANT else _contestant(cell, name) for name in cell.contestants}


def _arrivals(cell: Cell, declaring: Declaring | None = None) -> list[Arrival]:
    load = Load(mix=named_load(cell.mix), load=cell.load, arrivals=cell.arrivals)
    return list(generate(replace(load, declaring=declaring), shapes=[a100()] * GPUS, seed=cell.seed))


def _warm_up(cell: Cell) -> int:
    return int(cell.arrivals * WARM_UP_SHARE)


def _contestant(cell: Cell, name: str) -> Figures:
    contestant = CONTESTANTS[name]
    arrivals = _arrivals(cell, contestant.declaring)
    setting = Setting(shape=a100(), gpus=GPUS, mix=mean_mix(cell.mix), seed=cell.seed)
    began = time.perf_counter()
    outcome = replay(
        arrivals,
        contestant.placer(setting),
        sizes=slice_sizes([a100()]),
        slices=GPUS * a100().width,
        mode=cell.mode,
        warm_up=_warm_up(cell),
    )
    return Figures.of(outcome, contestant=name, took=time.perf_counter() - began)


def _bound(cell: Cell) -> Figures:
    shape = plain(a100())
    began = time.perf_counter()
    bound = clairvoyant(_arrivals(cell), cuts_of(shape), sizes=slice_sizes([shape]), gpus=GPUS, warm_up=_warm_up(cell))
    return Figures(slices=bound.accepted / bound.offered, took=time.perf_counter() - began)
