"""A profile's driver name and its resource name turn into each other; anything else is refused with an example."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig.placements import GpuShape
from mig.profiles import Profile, ProfileNameError, parse_profile, profile_of_resource, same_profile


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("1g.10gb", "nvidia.com/mig-1g.10gb"),
        ("1g.10gb+me", "nvidia.com/mig-1g.10gb.me"),
        ("1g.24gb-me", "nvidia.com/mig-1g.24gb-me"),
        ("1g.24gb+gfx", "nvidia.com/mig-1g.24gb.gfx"),
        ("1g.24gb+me.all", "nvidia.com/mig-1g.24gb.me.all"),
        ("7g.141gb", "nvidia.com/mig-7g.141gb"),
    ],
)
def test_names_and_resources_turn_into_each_other(name: str, resource: str) -> None:
    profile = parse_profile(name)
    assert str(profile) == name
    assert profile.resource == resource
    assert profile_of_resource(resource) == profile


def test_every_profile_of_every_model_survives_the_round_trip(shapes: dict[str, GpuShape]) -> None:
    for shape in shapes.values():
        for offer in shape.offers:
            assert parse_profile(str(offer.profile)) == offer.profile
            assert profile_of_resource(offer.profile.resource) == offer.profile


@pytest.mark.parametrize(
    "name",
    ["", "1g", "10gb", "0g.10gb", "1g.0gb", "1c.3g.40gb", "1g.10gb+", "1g.10GB", "1g.10gb ", "1g.10gb\n", "١g.10gb"],
)
def test_what_is_no_profile_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ProfileNameError, match=r"1g\.10gb"):
        parse_profile(name)


@pytest.mark.parametrize(
    "resource", ["nvidia.com/gpu", "nvidia.com/mig-", "nvidia.com/mig-small", "mig-1g.10gb", "cpu"]
)
def test_what_is_no_mig_resource_is_refused(resource: str) -> None:
    with pytest.raises(ProfileNameError):
        profile_of_resource(resource)


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    for read in (parse_profile, profile_of_resource):
        try:
            assert isinstance(read(text), Profile)
        except ProfileNameError:
            continue


def test_a_renamed_profile_is_the_same_and_a_double_memory_one_is_not() -> None:
    assert same_profile(parse_profile("1g.24gb"), parse_profile("1g.23gb"))
    assert not same_profile(parse_profile("1g.10gb"), parse_profile("1g.20gb"))
    assert not same_profile(parse_profile("1g.10gb"), parse_profile("1g.10gb+me"))
