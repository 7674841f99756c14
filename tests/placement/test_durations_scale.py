"""The unit in which lifetimes are compared is learned from what was declared, in seconds of any size."""

from random import Random

import pytest

from allocator.placement.durations import Scale


def after(*lifetimes: float) -> Scale:
    scale = Scale()
    for lasts in lifetimes:
        scale = scale.after(lasts)
    return scale


def test_there_is_no_scale_while_nothing_was_declared() -> None:
    assert Scale().seconds is None


@pytest.mark.parametrize("mean", [0.2, 60.0, 3e6])
def test_for_exponential_lifetimes_it_is_their_mean(mean: float) -> None:
    chance = Random(5)
    learned = after(*(chance.expovariate(1 / mean) for _ in range(5000))).seconds
    assert learned == pytest.approx(mean, rel=0.15)


def test_one_job_of_a_year_among_jobs_of_minutes_moves_it_by_less_than_a_tenth() -> None:
    jobs = [300.0] * 300
    before, then = after(*jobs).seconds, after(*jobs, 365 * 86400.0).seconds
    assert before is not None
    assert then == pytest.approx(before, rel=0.1)


def test_it_follows_a_change_within_two_thousand_declared_lifetimes() -> None:
    long, short = [3600.0] * 3000, [60.0] * 2000
    assert after(*long, *short).seconds == pytest.approx(after(*short).seconds, rel=0.5)
