"""The results as text: one table a mix and load, one of all mixes, one by profile, one of the queue modes.

Shares are in percent, differences in points with half the width of their 95 % interval, waits in minutes.
"""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from bench.placement.contestants import CLAIRVOYANT, CONTESTANTS, DEFAULT, FGD, FIRST_FIT
from bench.placement.results import Figures, Measure, Results, Where, requests, slices
from bench.placement.statistics import Estimate
from simulate.replay import Mode

ORDER = (*CONTESTANTS, CLAIRVOYANT)
BY_PROFILE = (DEFAULT, FGD, "best-fit", FIRST_FIT)
"""Whose acceptance is shown profile by profile; the JSON has everybody's."""


def show(results: Results, console: Console) -> None:
    """All tables."""
    for load in sorted({where.load for where in results.places(Mode.LOSS)}):
        places = [where for where in results.places(Mode.LOSS) if where.load == load]
        console.print(_overview(results, places, load))
        for where in places:
            console.print(_one(results, where))
        console.print(_profiles(results, places, load))
    queued = [where for where in results.places() if where.mode is not Mode.LOSS]
    if queued:
        console.print(_queues(results, queued))


def _names(results: Results, places: Iterable[Where]) -> list[str]:
    present = {name for where in places for name in results.contestants(where)}
    return [name for name in ORDER if name in present]


def _overview(results: Results, places: Sequence[Where], load: float) -> Table:
    table = _table(f"Slices accepted at load {load}: FGD in %, the others by their difference to it", "policy")
    for where in places:
        table.add_column(where.mix, justify="right")
    for name in _names(results, places):
        cells = (
            share(results.estimate(where, FGD, slices))
            if name == FGD
            else points(results.difference(where, name, slices))
            for where in places
        )
        table.add_row(name, *cells)
    return table


def _one(results: Results, where: Where) -> Table:
    table = _table(f"{where.mix}, load {where.load}", "policy")
    for title in ("slices %", "to FGD", "requests %", "to FGD", "of the LP %", "GPUs in use", "reused %", "seeds"):
        table.add_column(title, justify="right")
    for name in _names(results, [where]):
        table.add_row(
            name,
            share(results.estimate(where, name, slices)),
            points(results.difference(where, name, slices)),
            share(results.estimate(where, name, requests)),
            points(results.difference(where, name, requests)),
            share(results.share_of_bound(where, name)),
            plain(results.estimate(where, name, lambda run: run.gpus)),
            share(results.estimate(where, name, lambda run: run.reused)),
            str(len(results.runs(where, name))),
        )
    return table


def _profiles(results: Results, places: Sequence[Where], load: float) -> Table:
    table = _table(f"Requests accepted by profile at load {load}, %", "mix", "policy")
    profiles = sorted({p for where in places for run in results.runs(where, FGD).values() for p in run.profiles})
    for profile in profiles:
        table.add_column(profile, justify="right")
    for where in places:
        for name in (name for name in BY_PROFILE if results.runs(where, name)):
            cells = (share(results.estimate(where, name, of_profile(profile))) for profile in profiles)
            table.add_row(where.mix, name, *cells)
    return table


def of_profile(profile: str) -> Measure:
    """Accepted requests of one profile, of those offered; not taken where nobody asked for it."""

    def measure(run: Figures) -> float | None:
        return run.profiles.get(profile)

    return measure


def _queues(results: Results, places: Sequence[Where]) -> Table:
    table = _table(
        "Queue modes: who finds no place waits; lifetimes are 60 min on average", "mix", "load", "mode", "policy"
    )
    for title in ("utilisation %", "to FGD", "wait, min", "to FGD", "p95, min", "GPUs in use"):
        table.add_column(title, justify="right")
    for where in places:
        for name in _names(results, [where]):
            table.add_row(
                where.mix,
                str(where.load),
                where.mode.value,
                name,
                share(results.estimate(where, name, lambda run: run.utilisation)),
                points(results.difference(where, name, lambda run: run.utilisation)),
                minutes(results.estimate(where, name, lambda run: run.wait_mean)),
                minutes(results.difference(where, name, lambda run: run.wait_mean), signed=True),
                minutes(results.estimate(where, name, lambda run: run.wait_p95)),
                plain(results.estimate(where, name, lambda run: run.gpus)),
            )
    return table


def _table(title: str, *first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", min_width=60)
    for name in first:
        table.add_column(name, no_wrap=True)
    return table


def share(value: Estimate | None) -> str:
    """A share in percent, without its interval."""
    return "" if value is None else f"{100 * value.mean:.2f}"


def points(value: Estimate | None) -> str:
    """A difference of shares in points, with its interval."""
    return "" if value is None else f"{100 * value.mean:+.2f} ± {100 * value.half:.2f}"


def minutes(value: Estimate | None, *, signed: bool = False) -> str:
    """Seconds as minutes; a difference with its interval."""
    if value is None:
        return ""
    return f"{value.mean / 60:+.1f} ± {value.half / 60:.1f}" if signed else f"{value.mean / 60:.1f}"


def plain(value: Estimate | None) -> str:
    """A number as it is."""
    return "" if value is None else f"{value.mean:.1f}"
