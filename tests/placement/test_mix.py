"""What the demand mix says of the next arrival, after any history."""

import math
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.placement.mix import HALF_LIFE, MOST_PROFILES, Learner, Mix, variation
from mig.placements import GpuShape
from mig.profiles import Profile, parse_profile
from tests.support.shapes import shapes

SHAPES = st.sampled_from(sorted(shapes())).map(shapes().__getitem__)
OFFERED = sorted({offer.profile for shape in shapes().values() for offer in shape.offers})
UNKNOWN = [Profile(1, 9999), Profile(7, 1, "+me.all")]
HISTORIES = st.lists(st.sampled_from([*OFFERED, *UNKNOWN]), max_size=60)

SIX = [parse_profile(name) for name in ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")]
MIXES = {
    "uniform": [1.0] * 6,
    "small": [0.30, 0.25, 0.20, 0.10, 0.10, 0.05],
    "large": [0.05, 0.10, 0.10, 0.20, 0.25, 0.30],
    "bimodal": [0.30, 0.15, 0.05, 0.05, 0.15, 0.30],
}


def fading(history: list[Profile]) -> dict[Profile, float]:
    """The weights by their definition: each arrival halves with every 500 later ones."""
    weights: dict[Profile, float] = {}
    for age, profile in enumerate(reversed(history)):
        weights[profile] = weights.get(profile, 0.0) + 0.5 ** (age / HALF_LIFE)
    return weights


@given(history=HISTORIES, shape=SHAPES)
def test_shares_follow_the_offers_and_add_up_to_one_and_no_plain_profile_is_impossible(
    history: list[Profile], shape: GpuShape
) -> None:
    shares = Mix().learning(history).shares(shape)
    assert len(shares) == len(shape.offers)
    assert math.isclose(sum(shares), 1.0)
    for share, offer in zip(shares, shape.offers, strict=True):
        assert (share > 0) == (not offer.profile.attributes or offer.profile in history)


@given(history=HISTORIES, shape=SHAPES)
def test_what_a_gpu_does_not_offer_changes_nothing_about_it_but_how_fast_it_is_learned(
    history: list[Profile], shape: GpuShape
) -> None:
    """A user who asks for what nobody has steers no placement."""
    offered = {offer.profile for offer in shape.offers}
    foreign = [profile for profile in history if profile not in offered]
    assert Mix().learning(foreign).shares(shape) == Mix().shares(shape)


@pytest.mark.parametrize("model", sorted(shapes()))
def test_before_anything_arrives_the_plain_profiles_of_a_gpu_are_equally_likely(model: str) -> None:
    shape = shapes()[model]
    plain = [offer for offer in shape.offers if not offer.profile.attributes]
    expected = [0.0 if offer.profile.attributes else 1 / len(plain) for offer in shape.offers]
    assert Mix().shares(shape) == pytest.approx(expected)


def test_a_gpu_that_offers_only_profiles_with_attributes_takes_those_for_equally_likely() -> None:
    offers = tuple(offer for offer in shapes()["a100-80gb"].offers if offer.profile.attributes)
    assert Mix().shares(GpuShape(8, offers)) == pytest.approx([1 / len(offers)] * len(offers))
    assert Mix().shares(GpuShape(0, ())) == ()


@given(history=HISTORIES, cut=st.integers(0, 60))
def test_the_weights_are_what_their_definition_says_learned_one_by_one_or_together(
    history: list[Profile], cut: int
) -> None:
    mix = Mix().learning(history[:cut]).learning(history[cut:])
    assert dict(mix.weights) == pytest.approx(fading(history))
    assert [profile for profile, _ in mix.weights] == sorted(set(history))


def test_the_weights_stay_true_over_tens_of_thousands_of_arrivals() -> None:
    """The growing unit is taken back three times on the way."""
    history = Random(1).choices(SIX, MIXES["small"], k=65_000)
    mix = Mix().learning(history)
    assert dict(mix.weights) == pytest.approx(fading(history), rel=1e-6)
    assert mix.arrivals == pytest.approx(721.8, abs=0.1)


def test_a_million_arrivals_take_about_a_second() -> None:
    history = Random(2).choices(SIX, k=100_000)
    learner = Learner()
    began = time.process_time()
    for profile in history:
        learner.learn(profile)
    # Half a microsecond each where it was measured; ten times that is a busy machine, a hundred another algorithm.
    assert time.process_time() - began < 1.0


def test_of_too_many_profiles_those_that_are_asked_for_stay() -> None:
    noise = [Profile(1, gb) for gb in range(100, 100 + 3 * MOST_PROFILES)]
    history = [profile for pair in zip(noise, SIX * len(noise), strict=False) for profile in pair]
    mix = Mix().learning(history)
    assert len(mix.weights) == MOST_PROFILES
    assert set(SIX) <= {profile for profile, _ in mix.weights}


@pytest.mark.parametrize("name", MIXES)
def test_a_hundred_arrivals_tell_the_mix_within_a_tenth_and_a_thousand_within_a_twentieth(name: str) -> None:
    """Mean error in total variation. With a prior of 80 arrivals, or with none at all, it fails on some mix."""
    shape = shapes()["a100-80gb"]
    total = sum(MIXES[name])
    truth = [MIXES[name][SIX.index(offer.profile)] / total if offer.profile in SIX else 0.0 for offer in shape.offers]
    for arrivals, bound in ((10, 0.21), (100, 0.1), (1000, 0.05)):
        errors = [
            variation(Mix().learning(Random(seed).choices(SIX, MIXES[name], k=arrivals)).shares(shape), truth)
            for seed in range(40)
        ]
        assert sum(errors) / len(errors) < bound


def test_a_mix_that_turns_over_is_followed_within_a_few_half_lives() -> None:
    shape = shapes()["a100-80gb"]
    random = Random(3)
    before = Mix().learning(random.choices(SIX, MIXES["small"], k=5_000))
    after = before.learning(random.choices(SIX, MIXES["large"], k=4 * HALF_LIFE))
    settled = Mix().learning(random.choices(SIX, MIXES["large"], k=5_000))
    assert variation(before.shares(shape), settled.shares(shape)) > 0.4
    assert variation(after.shares(shape), settled.shares(shape)) < 0.1


@given(left=HISTORIES, right=HISTORIES, third=HISTORIES)
def test_distance_is_a_distance(left: list[Profile], right: list[Profile], third: list[Profile]) -> None:
    a, b, c = Mix().learning(left), Mix().learning(right), Mix().learning(third)
    assert a.distance(a) == 0
    assert a.distance(b) == b.distance(a)
    assert 0 <= a.distance(b) <= 1
    assert a.distance(c) <= a.distance(b) + b.distance(c) + 1e-12
    if a.distance(b) < 1e-12:
        assert dict(a.weights) == pytest.approx(dict(b.weights))


@given(left=st.lists(st.sampled_from(SIX), max_size=60), right=st.lists(st.sampled_from(SIX), max_size=60))
def test_the_shares_of_a_gpu_that_offers_all_that_is_asked_for_move_no_further_than_the_mix(
    left: list[Profile], right: list[Profile]
) -> None:
    """So a table of values is good until the mix has moved, and whoever keeps tables need look at nothing else."""
    shape = shapes()["a100-80gb"]
    a, b = Mix().learning(left), Mix().learning(right)
    assert variation(a.shares(shape), b.shares(shape)) <= a.distance(b) + 1e-12
