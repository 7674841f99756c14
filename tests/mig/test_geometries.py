"""What the admin allows: part of one allowed geometry, by the longest matching model, overrides replacing defaults."""

import pytest

from mig.geometries import ANYTHING, GeometryError, overridden, parse_geometries
from mig.profiles import parse_profile

A30 = parse_geometries(
    [
        {
            "models": ["A30"],
            "allowedGeometries": [{"1g.6gb": 4}, {"1g.6gb": 2, "2g.12gb": 1}, {"2g.12gb": 2}, {"4g.24gb": 1}],
        }
    ]
)


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ([], True),
        (["1g.6gb"] * 4, True),
        (["1g.6gb"] * 5, False),
        (["1g.6gb", "1g.6gb", "2g.12gb"], True),
        (["1g.6gb", "1g.6gb", "1g.6gb", "2g.12gb"], False),
        (["2g.12gb", "2g.12gb"], True),
        (["4g.24gb", "1g.6gb"], False),
        (["3g.20gb"], False),
    ],
)
def test_a_set_is_allowed_when_it_is_part_of_one_geometry(names: list[str], *, allowed: bool) -> None:
    assert A30.allow("NVIDIA A30", [parse_profile(name) for name in names]) is allowed


def test_a_model_that_nobody_names_may_use_everything() -> None:
    assert A30.allow("NVIDIA H100 80GB HBM3", [parse_profile("7g.80gb")] * 9)
    assert ANYTHING.allow("NVIDIA A30", [parse_profile("1g.6gb")] * 9)


def test_the_longest_matching_prefix_wins() -> None:
    geometries = parse_geometries(
        [
            {"models": ["A100"], "allowedGeometries": [{"7g.80gb": 1}]},
            {"models": ["NVIDIA A100 SXM4"], "allowedGeometries": [{"1g.10gb": 7}]},
        ]
    )
    assert geometries.allow("NVIDIA A100-SXM4-80GB", [parse_profile("1g.10gb")])
    assert not geometries.allow("NVIDIA A100-PCIE-80GB", [parse_profile("1g.10gb")])


def test_an_override_replaces_the_default_of_its_model_alone() -> None:
    override = parse_geometries([{"models": ["A30"], "allowedGeometries": [{"4g.24gb": 1}]}])
    default = parse_geometries(
        [
            {"models": ["A30"], "allowedGeometries": [{"1g.6gb": 4}]},
            {"models": ["H200"], "allowedGeometries": [{"1g.18gb": 7}]},
        ]
    )
    merged = overridden(default, override)
    assert not merged.allow("NVIDIA A30", [parse_profile("1g.6gb")])
    assert merged.allow("NVIDIA H200", [parse_profile("1g.18gb")] * 7)


def test_an_override_wins_over_a_default_that_names_the_model_more_exactly() -> None:
    override = parse_geometries([{"models": ["A100"], "allowedGeometries": [{"3g.40gb": 2}]}])
    default = parse_geometries([{"models": ["A100-SXM4-80GB"], "allowedGeometries": [{"1g.10gb": 7}]}])
    merged = overridden(default, override)
    assert not merged.allow("NVIDIA A100-SXM4-80GB", [parse_profile("1g.10gb")])
    assert merged.allow("NVIDIA A100-SXM4-80GB", [parse_profile("3g.40gb")])


def test_profiles_that_a_driver_renamed_still_count() -> None:
    geometries = parse_geometries([{"models": ["GB200"], "allowedGeometries": [{"1g.24gb": 7}]}])
    assert geometries.allow("NVIDIA GB200", [parse_profile("1g.23gb")] * 7)
    assert not geometries.allow("NVIDIA GB200", [parse_profile("1g.23gb")] * 8)


def test_an_error_names_entry_geometry_and_profile() -> None:
    with pytest.raises(GeometryError, match=r"entry 0 .*allowedGeometries\[1\].*'1g\.5'"):
        parse_geometries([{"models": ["A30"], "allowedGeometries": [{"1g.6gb": 4}, {"1g.5": 1}]}])
    with pytest.raises(GeometryError, match="named twice"):
        parse_geometries([{"models": ["A30", "NVIDIA A30"], "allowedGeometries": [{"1g.6gb": 4}]}])
