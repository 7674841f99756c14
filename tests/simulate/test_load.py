"""Generated load is what it says: so much of the fleet, in this mix, drawn from this seed."""

from collections import Counter
from itertools import islice
from statistics import fmean

import pytest

from mig.profiles import parse_profile
from simulate.load import (
    Arrival,
    Declaring,
    Drift,
    Load,
    LoadError,
    fleet_slices,
    generate,
    named_load,
    named_mixes,
    slice_sizes,
)
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
FLEET = [A100] * 10


def generated(load: Load, *, seed: int = 1) -> list[Arrival]:
    return list(generate(load, shapes=FLEET, seed=seed))


@pytest.mark.parametrize("name", [*named_mixes(), "drifting"])
@pytest.mark.parametrize("load", [0.85, 1.2])
def test_offered_slices_times_their_lifetimes_are_the_load_of_the_fleet(name: str, load: float) -> None:
    """Slices times seconds asked for, over the run, as a share of what the fleet has: within 6 % of the load on 20,000 arrivals."""
    arrivals = generated(Load(mix=named_load(name), load=load, arrivals=20_000, lifetime=100.0))
    sizes = slice_sizes(FLEET)

    asked = sum(sizes[arrival.profile] * arrival.lasts for arrival in arrivals)
    assert asked / (arrivals[-1].at * fleet_slices(FLEET)) == pytest.approx(load, rel=0.06)
    assert fmean(arrival.lasts for arrival in arrivals) == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("name", sorted(named_mixes()))
def test_profiles_come_as_often_as_their_mix_says(name: str) -> None:
    mix = named_mixes()[name]
    counts = Counter(arrival.profile for arrival in generated(Load(mix=mix, load=1.0, arrivals=20_000)))

    total = sum(mix.values())
    for profile, weight in mix.items():
        assert counts[profile] / 20_000 == pytest.approx(weight / total, abs=0.015)


def test_a_drifting_mix_moves_from_one_to_the_other_and_back() -> None:
    """`1g.10gb` is 30 % of the small mix and 5 % of the large one."""
    small = parse_profile("1g.10gb")
    arrivals = generated(Load(mix=named_load("drifting"), load=1.0, arrivals=30_000))

    def share(part: list[Arrival]) -> float:
        return sum(arrival.profile == small for arrival in part) / len(part)

    assert share(arrivals[:3_000]) == pytest.approx(0.30, abs=0.03)
    assert share(arrivals[13_500:16_500]) == pytest.approx(0.05, abs=0.03)
    assert share(arrivals[-3_000:]) == pytest.approx(0.30, abs=0.03)


def test_a_drift_may_go_round_more_than_once() -> None:
    mixes = named_mixes()
    arrivals = generated(Load(mix=Drift(mixes["small"], mixes["large"], cycles=2.0), load=1.0, arrivals=8_000))
    middle = Counter(arrival.profile for arrival in islice(arrivals, 3_600, 4_400))

    assert middle[parse_profile("1g.10gb")] > 2 * middle[parse_profile("7g.80gb")]


def test_equal_seeds_give_equal_arrivals_and_others_do_not() -> None:
    load = Load(mix=named_mixes()["small"], load=1.0, arrivals=500)

    assert generated(load, seed=3) == generated(load, seed=3)
    assert generated(load, seed=3) != generated(load, seed=4)


@pytest.mark.parametrize("declaring", [Declaring(), Declaring(bias=2.0), Declaring(error=2.0), Declaring(share=0.3)])
def test_what_is_declared_changes_nothing_else(declaring: Declaring) -> None:
    """Runs with and without declared lifetimes can be compared arrival by arrival."""
    mix = named_mixes()["uniform"]
    silent = generated(Load(mix=mix, load=1.0, arrivals=2_000))
    declared = generated(Load(mix=mix, load=1.0, arrivals=2_000, declaring=declaring))

    assert [arrival._replace(declared=None) for arrival in declared] == silent


def test_declared_lifetimes_are_wrong_as_asked() -> None:
    mix = named_mixes()["uniform"]

    def factors(declaring: Declaring) -> list[float]:
        arrivals = generated(Load(mix=mix, load=1.0, arrivals=2_000, declaring=declaring))
        return [arrival.declared / arrival.lasts for arrival in arrivals if arrival.declared is not None]

    assert factors(Declaring()) == pytest.approx([1.0] * 2_000)
    assert factors(Declaring(bias=0.5)) == pytest.approx([0.5] * 2_000)
    doubled = sum(factor == pytest.approx(2.0) for factor in factors(Declaring(error=2.0)))
    halved = sum(factor == pytest.approx(0.5) for factor in factors(Declaring(error=2.0)))
    assert doubled + halved == 2_000
    assert doubled == pytest.approx(1_000, abs=120)
    assert len(factors(Declaring(share=0.25))) == pytest.approx(500, abs=90)


def test_a_profile_that_no_gpu_offers_is_refused_with_those_that_are() -> None:
    load = Load(mix={parse_profile("1g.5gb"): 1.0}, load=1.0, arrivals=1)

    with pytest.raises(LoadError, match=r"offers 1g\.5gb; write a mix over .*3g\.40gb"):
        generated(load)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -0.5]])
def test_weights_that_are_no_mix_are_refused(weights: list[float]) -> None:
    mix = dict(zip(named_mixes()["small"], weights, strict=False))

    with pytest.raises(LoadError, match="weights"):
        generated(Load(mix=mix, load=1.0, arrivals=1))


def test_an_unknown_mix_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(LoadError, match="bimodal, drifting, large"):
        named_load("smal")
