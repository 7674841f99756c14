"""GPU shapes of real cards for tests of pure code, from the collected facts."""

import json
from functools import cache
from pathlib import Path

from mig.placements import GpuShape, ProfileOffer, grid_width
from mig.profiles import parse_profile

MODELS = Path(__file__).parents[2] / "simgpu" / "models.json"


@cache
def shapes() -> dict[str, GpuShape]:
    """Every model whose placements are known, by its id (`a100-80gb`)."""
    models = json.loads(MODELS.read_text())["models"]
    return {model["id"]: _shape(model["profiles"]) for model in models if model["layout"]}


def _shape(rows: list[dict[str, object]]) -> GpuShape:
    offers = tuple(_offer(row) for row in rows)
    return GpuShape(grid_width(offers), offers)


def _offer(row: dict[str, object]) -> ProfileOffer:
    places = row["placements"]
    assert isinstance(places, list)
    return ProfileOffer(
        profile=parse_profile(str(row["name"])),
        profile_id=int(str(row["profile_id"])),
        size=places[0]["size"],
        starts=tuple(place["start"] for place in places),
        max_instances=int(str(row["max_instances"])),
    )
