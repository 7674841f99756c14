"""The larger profile that a refusal suggests holds what was asked for, and exists on a GPU that has the asked ones."""

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig.profiles import parse_profile
from webhook.larger import MAX_SUGGESTIONS, larger_profiles

FAMILIES = json.loads(files("webhook").joinpath("profile_families.json").read_text("utf-8"))["families"]
NAMES = sorted({name for family in FAMILIES for name in family})


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"1g.5gb": 2}, ["2g.10gb"]),
        ({"1g.10gb": 2}, ["2g.20gb", "3g.20gb"]),
        ({"1g.10gb": 3}, ["3g.40gb", "7g.40gb"]),
        ({"3g.40gb": 2}, ["7g.80gb"]),
        ({"1g.18gb": 2}, ["2g.35gb", "2g.36gb"]),
        ({"1g.24gb+gfx": 2}, ["2g.48gb+gfx"]),
        ({"1g.10gb+me": 1, "1g.10gb": 1}, ["2g.20gb", "3g.20gb"]),
        ({"7g.80gb": 2}, []),
        ({"1g.11gb": 2}, []),
        ({"1g.6gb": 1, "1g.10gb": 1}, []),
        ({}, []),
    ],
)
def test_known_answers(asked: dict[str, int], answer: list[str]) -> None:
    """W2. Names round memory, so two of 18 GB are one of 35 GB on one card and one of 36 GB on the next."""
    found = larger_profiles({parse_profile(name): count for name, count in asked.items()})
    assert [str(profile) for profile in found] == answer


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 8), min_size=1, max_size=3))
def test_a_suggestion_is_real_and_large_enough(asked: dict[str, int]) -> None:
    """W2: never a wrong name."""
    counts = {parse_profile(name): count for name, count in asked.items()}
    found = larger_profiles(counts)
    assert len(found) <= MAX_SUGGESTIONS
    for profile in found:
        assert profile.slices >= sum(one.slices * count for one, count in counts.items())
        assert profile.memory_gb >= 0.95 * sum(one.memory_gb * count for one, count in counts.items())
        assert any(str(profile) in family for family in FAMILIES)
