"""The planner of nos takes free slices before it cuts, cuts a whole GPU by a known geometry, and never touches a slice in use."""

import pytest

from mig.occupancy import first_fault
from simulate.policies.nos import Nos, known_geometries, recuts
from tests.simulate.policies.laying import A30, fleet, profile
from tests.support.shapes import shapes


def test_the_known_geometries_of_an_a30_are_the_documented_ones() -> None:
    geometries = [[str(each) for each in geometry] for geometry in known_geometries(A30)]

    assert geometries == [["4g.24gb"], ["2g.12gb", "2g.12gb"], ["2g.12gb", "1g.6gb", "1g.6gb"], ["1g.6gb"] * 4]


@pytest.mark.parametrize("model", ["a100-80gb", "a30-24gb"])
def test_every_new_cut_can_exist_and_keeps_what_is_in_use(model: str) -> None:
    shape = shapes()[model]
    smallest = min(offer.profile for offer in shape.offers)
    for used in recuts(shape, frozenset(), smallest):
        kept = frozenset(sorted(used)[::2])
        for layout in recuts(shape, kept, smallest):
            assert kept <= layout
            assert first_fault(shape, layout) is None
            assert smallest in [placed.profile for placed in layout - kept]


def test_a_free_slice_is_taken_before_anything_is_cut() -> None:
    placer = Nos(fleet(1, A30))
    first = placer.place(profile("2g.12gb"), now=0.0)
    assert first is not None
    placer.release(first, now=1.0)

    again = placer.place(profile("2g.12gb"), now=2.0)
    assert again is not None
    assert (again.placed, again.reused, first.reused) == (first.placed, True, False)


def test_free_slices_are_cut_anew_around_those_in_use() -> None:
    """A 2g.12gb is in use: whatever the other half was cut into, a pair of 1g.6gb finds its place there, and a 4g.24gb does not."""
    for seed in range(10):
        placer = Nos(fleet(1, A30), seed=seed)
        held = placer.place(profile("2g.12gb"), now=0.0)
        assert placer.place(profile("4g.24gb"), now=0.0) is None
        ones = [placer.place(profile("1g.6gb"), now=0.0) for _ in range(3)]

        assert held is not None
        assert [one is not None and not one.placed.window.overlaps(held.placed.window) for one in ones[:2]] == [
            True,
            True,
        ]
        assert ones[2] is None


def test_it_cannot_see_profiles_that_no_known_geometry_has() -> None:
    """The media engines (`+me`) are on no list of geometries: such a Pod is refused on an empty fleet."""
    assert Nos(fleet(2)).place(profile("1g.10gb+me"), now=0.0) is None


def test_equal_geometries_and_nodes_are_drawn_by_lot_and_equal_seeds_draw_alike() -> None:
    def cut(seed: int) -> tuple[int, frozenset[object]]:
        placer = Nos(fleet(8), per_node=2, seed=seed)
        spot = placer.place(profile("1g.10gb"), now=0.0)
        assert spot is not None
        return spot.gpu, frozenset(placer._free[spot.gpu])

    assert len({cut(seed) for seed in range(30)}) > 1
    assert cut(3) == cut(3)
