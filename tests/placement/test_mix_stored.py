"""The demand mix as JSON: what is kept is what is read, and what makes no sense is refused with the reason."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.placement.mix import MOST_PROFILES, Mix, MixError, mix_from_json, mix_to_json
from mig.profiles import Profile

PROFILES = st.builds(
    Profile, st.integers(1, 12), st.integers(1, 9999), st.sampled_from(["", "+me", "+me.all", "-me", "+gfx"])
)


@given(history=st.lists(PROFILES, max_size=120))
def test_a_mix_comes_back_to_a_thousandth_of_an_arrival(history: list[Profile]) -> None:
    mix = Mix().learning(history)
    back = mix_from_json(json.loads(json.dumps(mix_to_json(mix))))
    assert dict(back.weights) == pytest.approx(dict(mix.weights), abs=0.0006)
    assert mix_from_json(mix_to_json(back)) == back


def test_the_fullest_mix_there_can_be_is_read_and_small() -> None:
    profiles = [Profile(7, 9000 + number, "+me.all") for number in range(MOST_PROFILES)]
    mix = Mix().learning(Random(1).choices(profiles, k=100_000)).learning(profiles)
    text = json.dumps(mix_to_json(mix))
    assert len(text) < 2400
    assert len(mix_from_json(json.loads(text)).weights) == MOST_PROFILES
    heaviest = mix_to_json(Mix().learning(profiles[:1] * 100_000))
    assert mix_from_json(heaviest).arrivals == pytest.approx(721.848)


def test_what_has_faded_to_nothing_is_not_kept() -> None:
    mix = Mix().learning([Profile(1, 10), *[Profile(2, 20)] * 6_000])
    assert set(mix_to_json(mix)) == {"2g.20gb"}


def test_of_too_many_profiles_the_heaviest_are_read() -> None:
    stored = {f"1g.{gb}gb": gb / 1000 for gb in range(1, 200)}
    kept = mix_from_json(stored).weights
    assert [profile.memory_gb for profile, _ in kept] == list(range(200 - MOST_PROFILES, 200))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "not NoneType"),
        ([1], "not list"),
        ("1g.10gb", "not str"),
        ({"1g.banana": 1.0}, "1g.banana"),
        ({"1c.1g.10gb": 1.0}, "1c.1g.10gb"),
        ({"1g.10gb": "1"}, "weight of 1g.10gb"),
        ({"1g.10gb": True}, "weight of 1g.10gb"),
        ({"1g.10gb": None}, "weight of 1g.10gb"),
        ({"1g.10gb": 0}, "weight of 1g.10gb"),
        ({"1g.10gb": -1.0}, "weight of 1g.10gb"),
        ({"1g.10gb": float("nan")}, "weight of 1g.10gb"),
        ({"1g.10gb": float("inf")}, "weight of 1g.10gb"),
        ({"1g.10gb": 10**400}, "weight of 1g.10gb"),
        ({"1g.10gb": 723.0}, "at most 722"),
        ({"1g.10gb": 400.0, "2g.20gb": 400.0}, "add up"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(value: Any, says: str) -> None:
    with pytest.raises(MixError, match=says) as refused:
        mix_from_json(value)
    assert len(str(refused.value)) < 200
