"""What is generated is fresh: changing a source without its product fails here, and the message says what to run."""

import json
from pathlib import Path

from schemas import crd, default_geometries, schema
from tests.support.shapes import MODELS

CHART = Path(__file__).parents[2] / "helm" / "nos-mig"


def test_the_crd_in_the_chart_is_what_the_schema_gives() -> None:
    """Stale: run `python -m schemas.crd`."""
    assert crd.CHART_FILE.read_text(encoding="utf-8") == crd.as_yaml()
    assert crd.CHART_FILE.is_relative_to(CHART / "templates")


def test_the_default_geometries_in_the_chart_are_what_the_discovered_models_give() -> None:
    """Stale: run `python -m schemas.default_geometries simgpu/models.json`."""
    names = json.loads(default_geometries.MODELS_FILE.read_text(encoding="utf-8"))
    fresh = default_geometries.as_yaml(json.loads(MODELS.read_text(encoding="utf-8")), names)
    assert default_geometries.CHART_FILE.read_text(encoding="utf-8") == fresh


def test_the_values_of_the_chart_take_the_same_geometries() -> None:
    """The chart's schema stands alone, for Helm reads no other file: its copy equals the source."""
    values = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    source = {key: value for key, value in schema("geometries").items() if not key.startswith("$")}
    assert values["definitions"]["geometries"] == source
