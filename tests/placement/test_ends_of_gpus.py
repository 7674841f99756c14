"""A GPU's expected ends are part of how placement tells it from others, and follow what is taken on it."""

from allocator.placement.fleet import GpuView
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]


def at(profile: str, start: int) -> Placed:
    offer = A100.by_profile[parse_profile(profile)]
    return Placed(Window(start, offer.size), offer.profile)


def test_a_slice_taken_by_a_pod_with_an_end_is_among_the_ends_in_their_order() -> None:
    view = GpuView("GPU-1", "A100", A100, warm=(at("1g.10gb", 4),))
    taken = view.taking(at("1g.10gb", 6), end=20.0).taking(at("1g.10gb", 4), end=10.0).taking(at("1g.10gb", 5))
    assert taken.ends == ((10.0, at("1g.10gb", 4)), (20.0, at("1g.10gb", 6)))
    assert taken.fixed == (at("1g.10gb", 6), at("1g.10gb", 4), at("1g.10gb", 5))
    assert taken.warm == ()


def test_gpus_that_differ_in_their_ends_alone_are_not_the_same_to_placement() -> None:
    bare = GpuView("GPU-1", "A100", A100)
    early, late = (bare.taking(at("1g.10gb", 6), end=end) for end in (10.0, 20.0))
    assert early.state != late.state != bare.taking(at("1g.10gb", 6)).state
