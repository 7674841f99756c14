"""The geometries' ConfigMap: the last good form of each key stays in force, and the complaint says where it is wrong."""

from typing import Any

import pytest

from allocator.geometryfile import DEFAULTS, OVERRIDES, GeometryFile
from mig.geometries import Geometries
from mig.profiles import parse_profile
from tests.allocator.world import world

GOOD = """
- models: [A100-SXM4-80GB]
  allowedGeometries:
    - 1g.10gb: 2
"""


class File:
    """A file and its complaints."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.file = GeometryFile(on_error=self.complaints.append)

    def read(self, **data: str) -> Geometries:
        """Read the ConfigMap with these keys."""
        return self.file.read({"data": {key.replace("_", "."): text for key, text in data.items()}})


def allowed(geometries: Geometries, *profiles: str) -> bool:
    return geometries.allow("NVIDIA A100-SXM4-80GB", map(parse_profile, profiles))


def test_a_model_of_the_overrides_replaces_the_default() -> None:
    file = File()
    both = file.read(defaults_yaml=GOOD, overrides_yaml=GOOD.replace("1g.10gb: 2", "3g.40gb: 1"))
    assert allowed(both, "3g.40gb")
    assert not allowed(both, "1g.10gb")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- models: [A100", "no YAML"),
        ("models: []", "(document)"),
        ("- models: [A100]\n  allowedGeometries:\n    - nonsense: 1", "[0].allowedGeometries[0]"),
        ("- models: [A100]\n  allowedGeometries:\n    - 1g.10gb: many", "[0].allowedGeometries[0]"),
        ("- models: [A100, A100]\n  allowedGeometries: []", "overrides.yaml"),
    ],
)
def test_a_bad_text_changes_nothing_and_says_what_is_wrong_and_where(text: str, said: str) -> None:
    file = File()
    before = file.read(defaults_yaml=GOOD)
    after = file.read(defaults_yaml=GOOD, overrides_yaml=text)
    assert after == before
    (complaint,) = file.complaints
    assert OVERRIDES in complaint
    assert said in complaint


def test_a_complaint_is_made_once_and_withdrawn_when_all_is_well() -> None:
    file = File()
    for text in ("[", "[", GOOD):
        file.read(overrides_yaml=text)
    assert [bool(complaint) for complaint in file.complaints] == [True, False]


@pytest.mark.parametrize("config_map", [None, {}, {"data": None}, {"data": {DEFAULTS: "", OVERRIDES: ""}}])
def test_a_config_map_that_says_nothing_forbids_nothing(config_map: Any) -> None:
    assert GeometryFile(on_error=pytest.fail).read(config_map).for_model("NVIDIA A100-SXM4-80GB") is None


def test_geometries_narrow_what_is_placed_and_a_change_leaves_what_exists() -> None:
    with world() as w:
        w.add_pod("before", "3g.40gb")
        w.run()
        w.leader.index.set_geometries(File().read(defaults_yaml=GOOD))
        w.add_pod("a", "1g.10gb")
        w.run(3, seconds=1.0)
        assert w.bound_to("before") == "n1"
        assert w.condition("a")["reason"] == "GeometryForbids"
        w.delete_pod("before")
        w.run(6, seconds=1.0)
        assert w.bound_to("a") == "n1"
