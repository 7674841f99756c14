"""The benchmark sees what it must see: the order of the policies on any few seeds, and aims that are missed."""

from collections.abc import Mapping

import pytest

from bench.placement.aims import Verdict, share_of_way, verdicts, wrong_signs
from bench.placement.contestants import (
    CLAIRVOYANT,
    CONTESTANTS,
    DEFAULT,
    DURATIONS,
    FGD,
    FIRST_FIT,
    FREE_MIGRATION,
    MOVES_20,
    MOVES_50,
    WRONG_DURATIONS,
)
from bench.placement.measure import measure
from bench.placement.plan import FIRST_SEED, Cell, Plan, full, quick
from bench.placement.results import Figures, Results, Where, slices
from simulate.replay import Mode


def few() -> Plan:
    """Smaller than the quick run: for signs alone."""
    return Plan(
        mixes=quick().mixes,
        arrivals=3000,
        seeds={1.0: {**dict.fromkeys(CONTESTANTS, 3), CLAIRVOYANT: 1}},
        queue_seeds={0.9: 1},
        queue_mixes=("large",),
    )


@pytest.fixture(scope="module")
def measured() -> Results:
    return measure(few(), workers=1)


@pytest.mark.timeout(300)
def test_on_any_few_seeds_the_order_of_the_policies_is_as_promised(measured: Results) -> None:
    """Ours above those that weigh nothing, never wholly below FGD, free migration above, the clairvoyant bound above all."""
    assert list(wrong_signs(measured)) == []


@pytest.mark.timeout(300)
def test_queues_are_measured_by_utilisation_and_waits(measured: Results) -> None:
    """At one load backfill waits less than a queue whose head blocks."""
    waits = {
        mode: measured.estimate(Where("large", 0.9, mode), FIRST_FIT, lambda run: run.wait_mean)
        for mode in (Mode.FIFO, Mode.BACKFILL)
    }
    fifo, backfill = waits[Mode.FIFO], waits[Mode.BACKFILL]
    assert fifo is not None
    assert backfill is not None
    assert 0 < backfill.mean < fifo.mean


def made_up(mix: str = "uniform", load: float = 1.0, **accepted: list[float]) -> Results:
    """Results in which contestants accepted these shares, seed by seed; names with `_` for what is no letter."""
    results = Results()
    for name, shares in accepted.items():
        for seed, share in enumerate(shares):
            cell = Cell(mix=mix, load=load, seed=seed, arrivals=1, contestants=())
            results.add(cell, {NAMES[name]: Figures(slices=share)})
    return results


NAMES: Mapping[str, str] = {
    "default": DEFAULT,
    "fgd": FGD,
    "first_fit": FIRST_FIT,
    "free": FREE_MIGRATION,
    "bound": CLAIRVOYANT,
    "moves": MOVES_50,
}


@pytest.mark.parametrize(
    ("results", "culprits"),
    [
        (made_up(default=[0.80, 0.81], first_fit=[0.85, 0.84]), "default against first-fit"),
        (made_up(default=[0.80, 0.81, 0.80], fgd=[0.85, 0.86, 0.85]), "default against fgd"),
        (made_up(default=[0.97, 0.96], free=[0.95, 0.94]), "free migration against default"),
        (made_up(default=[0.90, 0.91], bound=[0.89, 0.90]), "clairvoyant LP against default"),
    ],
)
def test_a_wrong_sign_is_named(results: Results, culprits: str) -> None:
    """Else the order above would prove nothing."""
    assert [line for line in wrong_signs(results) if culprits in line]


def test_a_difference_within_its_interval_is_no_wrong_sign() -> None:
    assert not list(wrong_signs(made_up(default=[0.90, 0.91, 0.92], fgd=[0.91, 0.91, 0.91])))


def verdict(results: Results, what: str) -> Verdict:
    return next(found for found in verdicts(results) if what in found.what)


def test_an_aim_is_held_against_the_paired_mean() -> None:
    """+0.4 points on the uniform mix: half a point meets it, a third does not."""
    low, high = made_up(default=[0.903, 0.913], fgd=[0.9, 0.91]), made_up(default=[0.905, 0.915], fgd=[0.9, 0.91])
    assert not verdict(low, "default, uniform: slices to FGD").holds
    assert verdict(high, "default, uniform: slices to FGD").holds


def test_a_mix_on_which_ours_is_beyond_doubt_below_fgd_is_an_aim_missed() -> None:
    results = made_up("drifting", default=[0.900, 0.910, 0.920], fgd=[0.91, 0.92, 0.93])
    assert not verdict(results, "drifting: not wholly below FGD").holds


def test_the_way_to_free_migration_is_measured_seed_by_seed() -> None:
    """Half of the way on one seed and all of it on the other are three quarters."""
    results = made_up(moves=[0.92, 0.96], fgd=[0.90, 0.90], free=[0.94, 0.96])
    way = share_of_way(results, Where("uniform", 1.0), MOVES_50)
    assert way is not None
    assert way.mean == pytest.approx(0.75)


def test_the_share_of_the_bound_uses_only_seeds_that_both_have() -> None:
    results = made_up(default=[0.90, 0.5, 0.5], bound=[0.96])
    found = results.share_of_bound(Where("uniform", 1.0), DEFAULT)
    assert found is not None
    assert found.mean == pytest.approx(0.9375)
    assert found.samples == 1
    assert results.difference(Where("uniform", 1.0), DEFAULT, slices) is None


def test_the_full_run_pairs_everybody_on_twenty_seeds_and_on_forty_at_load_one() -> None:
    """At each of the three loads, what has its aims at load 1.0 alone left out; 40 there, where tenths of a point decide."""
    plan = full()
    assert set(plan.seeds) == {0.85, 1.0, 1.2}
    assert all(plan.seeds[1.0][name] >= 40 for name in CONTESTANTS)
    assert min(count for seeds in plan.seeds.values() for count in seeds.values()) >= 20
    at_load_one_alone = {DURATIONS, WRONG_DURATIONS, MOVES_50, MOVES_20}
    assert all(set(CONTESTANTS) - at_load_one_alone <= set(seeds) for seeds in plan.seeds.values())


def test_no_cell_is_run_twice_and_none_on_a_seed_that_coefficients_were_tuned_on() -> None:
    """Searches use seeds below a million."""
    cells = list(full().cells())
    keys = {(cell.mix, cell.load, cell.mode, cell.seed) for cell in cells}
    assert len(keys) == len(cells)
    assert min(cell.seed for cell in cells) >= FIRST_SEED >= 1_000_000
