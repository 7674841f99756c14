"""GPU shapes for the domain's tests, from the collected facts about real cards."""

import json
from pathlib import Path
from typing import Any

import pytest

from mig.placements import GpuShape, ProfileOffer, grid_width
from mig.profiles import parse_profile

MODELS = Path(__file__).parents[2] / "simgpu" / "models.json"


def shape_of(model: dict[str, Any]) -> GpuShape:
    offers = tuple(
        ProfileOffer(
            profile=parse_profile(row["name"]),
            profile_id=row["profile_id"],
            size=row["placements"][0]["size"],
            starts=tuple(place["start"] for place in row["placements"]),
            max_instances=row["max_instances"],
        )
        for row in model["profiles"]
    )
    return GpuShape(grid_width(offers), offers)


@pytest.fixture(scope="session")
def shapes() -> dict[str, GpuShape]:
    models = json.loads(MODELS.read_text())["models"]
    return {model["id"]: shape_of(model) for model in models if model["layout"]}


@pytest.fixture(scope="session")
def a100(shapes: dict[str, GpuShape]) -> GpuShape:
    return shapes["a100-80gb"]
