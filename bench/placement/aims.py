"""What the engine promises, held against what was measured: which aims stand, which do not, and by how much.

An aim is met by the mean; that it is met beyond doubt, or missed beyond doubt, is for the interval to say, so both are shown. The
signs hold in any run of a few minutes already, figures need the full one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.placement.contestants import (
    CLAIRVOYANT,
    DEFAULT,
    DURATIONS,
    FGD,
    FREE_MIGRATION,
    MOVES_20,
    MOVES_50,
    OTHERS,
    WRONG_DURATIONS,
)
from bench.placement.plan import DRIFTING
from bench.placement.results import Results, Where, slices
from bench.placement.statistics import Estimate, estimate

_TO_FGD: Final[Mapping[str, Mapping[str, float]]] = {
    DEFAULT: {"uniform": 0.4, "small": 1.8, "large": 0.0, "bimodal": 0.2},
    DURATIONS: {"uniform": 1.1, "small": 2.2, "large": 0.7, "bimodal": 0.9},
    WRONG_DURATIONS: {"uniform": 0.0, "small": 0.0, "large": 0.0, "bimodal": 0.0},
}
"""Points of accepted slices above FGD at load 1.0."""

_OF_THE_WAY: Final = 0.5
"""Of the way from FGD to free migration, with one move in 50 arrivals."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim: what was wanted, what was measured (in points, or percent of a way), and whether it holds."""

    what: str
    wanted: str
    measured: Estimate
    holds: bool


def verdicts(results: Results, *, load: float = 1.0) -> Iterator[Verdict]:
    """Every aim about acceptance, as far as its runs were made."""
    for contestant, wanted in _TO_FGD.items():
        for mix, least in wanted.items():
            yield from _to_fgd(results, Where(mix, load), contestant, least)
    for where in results.places():
        if where == Where(where.mix, load):
            yield from _never_below(results, where)
    for where in (Where(mix, load) for mix in _TO_FGD[DEFAULT]):
        for contestant in (MOVES_50, MOVES_20):
            way = share_of_way(results, where, contestant)
            if way is not None:
                least = _OF_THE_WAY if contestant == MOVES_50 else 0.0
                yield Verdict(
                    f"{contestant}, {where.mix}: of the way from FGD to free migration, %",
                    f"≥ {100 * least:.0f}" if least else "reported",
                    way.scaled(100),
                    way.mean >= least,
                )


def share_of_way(results: Results, where: Where, contestant: str) -> Estimate | None:
    """How far a contestant comes on the way from FGD to free migration, seed by seed."""
    ours, low, high = (results.runs(where, name) for name in (contestant, FGD, FREE_MIGRATION))
    seeds = sorted(ours.keys() & low.keys() & high.keys())
    ways = [(ours[seed].slices - low[seed].slices) / (high[seed].slices - low[seed].slices) for seed in seeds]
    return estimate(ways) if ways else None


def _to_fgd(results: Results, where: Where, contestant: str, least: float) -> Iterator[Verdict]:
    found = results.difference(where, contestant, slices)
    if found is not None:
        measured = found.scaled(100)
        what = f"{contestant}, {where.mix}: slices to FGD, points"
        yield Verdict(what, f"≥ {least:+.1f}", measured, measured.mean >= least)


def _never_below(results: Results, where: Where) -> Iterator[Verdict]:
    found = results.difference(where, DEFAULT, slices)
    if found is not None and (where.mix == DRIFTING or where.mix in _TO_FGD[DEFAULT]):
        measured = found.scaled(100)
        yield Verdict(f"{DEFAULT}, {where.mix}: not wholly below FGD", "upper end ≥ 0", measured, measured.high >= 0)


def wrong_signs(results: Results, *, load: float = 1.0) -> Iterator[str]:
    """What contradicts the order that every run must show, whatever its figures; nothing where all is well."""
    for where in (place for place in results.places() if place == Where(place.mix, load)):
        for high, low in (*_beyond_doubt(results, where), *_CLOSE):
            found = results.difference(where, high, slices, to=low)
            if found is not None and (found.high < 0 if (high, low) in _CLOSE else found.mean <= 0):
                yield f"{where.mix}: {high} against {low} is {100 * found.mean:+.2f} ± {100 * found.half:.2f} points"


_CLOSE: Final = (
    *((DEFAULT, name) for name in (FGD, "best-fit", "mfi")),
    (WRONG_DURATIONS, FGD),
    (DURATIONS, DEFAULT),
    (MOVES_50, DEFAULT),
    (MOVES_20, MOVES_50),
    (FREE_MIGRATION, MOVES_20),
)
"""Pairs so close on some mix that a few seeds may show them reversed: the first must not stand wholly below the second."""


def _beyond_doubt(results: Results, where: Where) -> Iterator[tuple[str, str]]:
    """Pairs of which the first stands above the second on average of any few seeds."""
    present = [name for name in results.contestants(where) if name not in (CLAIRVOYANT, FREE_MIGRATION)]
    yield CLAIRVOYANT, FREE_MIGRATION
    for name in present:
        yield CLAIRVOYANT, name
        if name not in (DURATIONS, WRONG_DURATIONS, MOVES_20):
            yield FREE_MIGRATION, name
        if name in OTHERS and (DEFAULT, name) not in _CLOSE:
            yield DEFAULT, name
