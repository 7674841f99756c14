"""States say exactly what the driver's rules and the allowed geometries say, for every set of slices that a GPU can hold."""

from itertools import permutations

import pytest

from allocator.placement.states import EMPTY, StateSpace, space_of
from mig.geometries import Geometries, Geometry, parse_geometries
from mig.occupancy import Placed, legal_starts, reachable_layouts
from mig.placements import GpuShape, Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes

SHAPES = ("a30-24gb", "a100-80gb", "rtx-pro-6000-96gb")
NARROW = {
    "a30-24gb": [{"1g.6gb": 4}, {"1g.6gb": 2, "2g.12gb": 1}],
    "a100-80gb": [{"3g.40gb": 2}, {"1g.10gb": 3, "3g.40gb": 1}, {"1g.10gb+me": 1, "1g.10gb": 2}],
    "rtx-pro-6000-96gb": [{"1g.24gb": 2, "2g.48gb": 1}, {"2g.48gb+gfx": 2}],
}


def starts(space: StateSpace, layout: frozenset[Placed], kind: int) -> tuple[int, ...]:
    return tuple(start for start, _ in space.places(space.of(layout), kind))


@pytest.mark.parametrize("model", SHAPES)
def test_a_slice_may_go_exactly_where_the_driver_would_put_it(model: str) -> None:
    shape = shapes()[model]
    space = space_of(shape)
    for layout in reachable_layouts(shape):
        for kind, offer in enumerate(shape.offers):
            assert starts(space, layout, kind) == legal_starts(offer, layout)


@pytest.mark.parametrize("model", SHAPES)
def test_geometries_narrow_that_exactly(model: str) -> None:
    shape = shapes()[model]
    geometries = parse_geometries([{"models": ["X"], "allowedGeometries": NARROW[model]}])
    space = space_of(shape, geometries.for_model("X"))
    for layout in reachable_layouts(shape):
        for kind, offer in enumerate(shape.offers):
            allowed = geometries.allow("X", [*(item.profile for item in layout), offer.profile])
            assert starts(space, layout, kind) == (legal_starts(offer, layout) if allowed else ())


@pytest.mark.parametrize("model", SHAPES)
def test_putting_a_slice_and_taking_it_away_lead_where_the_slices_say(model: str) -> None:
    """A fresh look at the slices gives the state that the moves led to, and its free room."""
    shape = shapes()[model]
    space = space_of(shape)
    for layout in reachable_layouts(shape):
        state = space.of(layout)
        assert space.free[state] == shape.width - sum(item.window.size for item in layout)
        for kind in range(len(shape.offers)):
            for start, after in space.places(state, kind):
                put = space.placed[kind][start]
                assert space.of({*layout, put}) == after == space.after(state, kind, start)
                assert space.without(after, put) == state


def test_geometries_that_forbid_nothing_cost_no_states() -> None:
    shape = shapes()["a100-80gb"]
    assert space_of(shape, most_of_everything(shape)) is space_of(shape)
    assert space_of(shape, (Geometry(((parse_profile("1g.10gb"), 7),)),)) is not space_of(shape)


def test_a_place_that_is_not_legal_has_no_state_behind_it() -> None:
    space = space_of(shapes()["a100-80gb"])
    with pytest.raises(KeyError):
        space.after(EMPTY, space.kinds[parse_profile("3g.40gb")], 1)


def test_a_foreign_slice_that_is_no_offer_takes_its_room_and_lets_no_geometry_hold() -> None:
    shape = shapes()["a100-80gb"]
    strange = Placed(Window(0, 2), parse_profile("2g.99gb"))
    free, narrowed = space_of(shape), space_of(shape, Geometries({"X": small(7)}).for_model("X"))
    kind = free.kinds[parse_profile("1g.10gb")]
    assert starts(free, frozenset({strange}), kind) == (2, 3, 4, 5, 6)
    assert starts(narrowed, frozenset({strange}), kind) == ()


def most_of_everything(shape: GpuShape) -> tuple[Geometry, ...]:
    return (Geometry(tuple(sorted((offer.profile, offer.max_instances) for offer in shape.offers))),)


def small(count: int) -> tuple[Geometry, ...]:
    return (Geometry(((parse_profile("1g.10gb"), count),)),)


def test_a_foreign_slice_is_met_with_all_that_is_left_as_the_others_leave() -> None:
    """So tables that know a GPU's state know where it may come, whichever of its slices ends first."""
    shape = shapes()["a100-80gb"]
    space = StateSpace(shape)
    space.explore()
    strange = Placed(Window(7, 1), parse_profile("1g.99gb"))
    layout = [strange, *(space.placed[space.kinds[parse_profile("1g.10gb")]][start] for start in range(3))]
    state = space.meet(layout)
    known = len(space)
    assert space.reachable <= state < known
    for order in permutations(layout[1:]):
        here = state
        for item in order:
            here = space.without(here, item)
        assert here == space.of([strange])
    assert len(space) == known
