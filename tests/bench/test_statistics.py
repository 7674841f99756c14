"""Intervals are Student's, and differences are taken seed by seed."""

import random
from math import inf

import pytest

from bench.placement.statistics import Estimate, estimate, paired


def test_an_interval_is_the_textbook_one() -> None:
    """Five samples, mean 3, standard deviation √2.5, t(0.975, 4) = 2.7764."""
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764 * (2.5**0.5) / 5**0.5
    assert found.mean == pytest.approx(3.0)
    assert found.low == pytest.approx(3.0 - half, rel=1e-4)
    assert found.high == pytest.approx(3.0 + half, rel=1e-4)


def test_one_sample_says_nothing_of_its_error() -> None:
    assert estimate([0.7]) == Estimate(0.7, inf, 1)


def test_what_both_met_cancels() -> None:
    """Seeds that differ by tens of points leave an exact difference of one."""
    theirs = {seed: 10.0 * seed for seed in range(5)}
    found = paired({seed: value + 1.0 for seed, value in theirs.items()}, theirs)
    assert found.mean == pytest.approx(1.0)
    assert found.half == pytest.approx(0.0, abs=1e-9)


def test_only_seeds_that_both_have_are_compared() -> None:
    assert paired({1: 2.0, 2: 3.0, 3: 9.0}, {1: 1.0, 2: 2.0, 4: 0.0}).samples == 2
    with pytest.raises(ValueError, match="same seeds"):
        paired({1: 2.0}, {2: 2.0})


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """2,000 draws of six normal samples: 95 % of the intervals hold the mean, within four standard errors."""
    rng = random.Random(7)
    covers = [
        abs(found.mean) <= found.half for found in (estimate([rng.gauss() for _ in range(6)]) for _ in range(2000))
    ]
    assert sum(covers) / len(covers) == pytest.approx(0.95, abs=0.02)


def test_a_unit_scales_both() -> None:
    assert Estimate(0.25, 0.125, 20).scaled(100) == Estimate(25.0, 12.5, 20)
