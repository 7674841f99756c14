"""Neighbours that end beside a foreign slice of a profile that the driver does not name leave states that no table was made for."""

from dataclasses import replace

from allocator.placement.durations import Scale
from allocator.placement.engine import Engine
from allocator.placement.fleet import GpuView
from allocator.placement.mix import Mix
from mig.occupancy import Placed
from mig.placements import Window
from tests.placement.fleets import at, gpu, node, profile, wish

NOW = 1_000_000.0
STRANGE = Placed(Window(7, 1), profile("1g.99gb"))


def beside_a_stranger(uuid: str, *, left: float) -> GpuView:
    """A GPU of a shape that no other test has, so that its states were never met: two slices end one after the other."""
    shape = gpu(uuid).shape
    own = replace(shape, offers=tuple(offer for offer in shape.offers if str(offer.profile) != "1g.10gb+me"))
    ending = ((NOW + left, at("2g.20gb", 2)), (NOW + 2 * left, at("1g.20gb", 4)))
    return GpuView(uuid, "a100-80gb", own, (STRANGE, *(item for _, item in ending)), ends=ending)


def test_a_slice_of_declared_lifetime_is_placed_beside_them() -> None:
    """A12: what an admin made by hand stands in nobody's way but by its room."""
    engine = Engine()
    engine.follow(Mix(), Scale().after(600), now=NOW)
    engine.sync([node("n1", beside_a_stranger("GPU-1", left=100), beside_a_stranger("GPU-2", left=1800))])
    found = engine.find(replace(wish("1g.10gb"), lasts=3600))
    assert found is not None
    assert found.choices[0].gpu == "GPU-2", "it empties when the slice ends"
