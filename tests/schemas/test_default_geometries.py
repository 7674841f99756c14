"""The shipped geometries forbid nothing that a driver offers, judged by the domain's own enumeration of each card."""

import json
from functools import cache

import pytest
import yaml

from mig.geometries import Geometries, parse_geometries
from mig.occupancy import maximal_layouts, multiset
from schemas import check
from schemas.default_geometries import CHART_FILE, MODELS_FILE
from tests.support.shapes import shapes

NAMES = json.loads(MODELS_FILE.read_text(encoding="utf-8"))


@cache
def shipped() -> Geometries:
    document = yaml.safe_load(CHART_FILE.read_text(encoding="utf-8"))
    assert check("geometries", document) == []
    return parse_geometries(document)


@pytest.mark.parametrize(("model", "beginnings"), NAMES.items())
def test_every_maximal_layout_of_a_card_is_allowed(model: str, beginnings: list[str]) -> None:
    layouts = maximal_layouts(shapes()[model])
    for beginning in beginnings:
        product = f"NVIDIA {beginning.replace('-', ' ')}"
        assert all(shipped().allow(product, [item.profile for item in layout]) for layout in layouts)


@pytest.mark.parametrize("model", ["a30-24gb", "a100-80gb"])
def test_the_entry_is_the_set_of_multisets_that_nothing_contains(model: str) -> None:
    """Nothing is listed that the card cannot hold, and nothing twice."""
    possible = {multiset(layout) for layout in maximal_layouts(shapes()[model])}
    entry = shipped().for_model(NAMES[model][0])
    assert entry is not None
    listed = [geometry.counts for geometry in entry]
    assert set(listed) <= possible
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    ("product", "profile_memory"),
    [("NVIDIA H200 NVL", 141), ("NVIDIA H20-3e", 141), ("NVIDIA GH200 480GB", 96), ("NVIDIA GH200 144G HBM3e", 144)],
)
def test_a_product_whose_name_begins_like_another_gets_its_own_entry(product: str, profile_memory: int) -> None:
    entry = shipped().for_model(product)
    assert entry is not None
    assert max(profile.memory_gb for geometry in entry for profile, _ in geometry.counts) == profile_memory


@pytest.mark.parametrize("product", ["NVIDIA H20", "NVIDIA L4", "NVIDIA RTX PRO 5000 Blackwell"])
def test_a_product_whose_profiles_we_do_not_know_is_left_free(product: str) -> None:
    assert shipped().for_model(product) is None
