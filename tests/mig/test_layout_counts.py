"""The layouts that `mig` enumerates are the ones that real 7-slice cards have."""

from mig.occupancy import maximal_layouts, multiset, occupied, reachable_layouts
from mig.placements import GpuShape


def plain(shape: GpuShape) -> GpuShape:
    """The five profiles without attributes and without the double-memory one."""
    one = min(offer.size for offer in shape.offers)
    return GpuShape(
        shape.width,
        tuple(
            offer
            for offer in shape.offers
            if not offer.profile.attributes and not (offer.profile.slices == 1 and offer.size > one)
        ),
    )


def test_the_plain_profiles_have_19_maximal_layouts_of_14_multisets(a100: GpuShape) -> None:
    layouts = maximal_layouts(plain(a100))
    assert len(layouts) == 19
    assert len({multiset(layout) for layout in layouts}) == 14


def test_all_seven_profiles_reach_2319_states_with_192_masks_and_417_window_sets(a100: GpuShape) -> None:
    states = reachable_layouts(a100)
    assert len(states) == 2319
    assert len({occupied(state) for state in states}) == 192
    assert len({frozenset(item.window for item in state) for state in states}) == 417


def test_grids_are_4_8_and_12_wide(shapes: dict[str, GpuShape]) -> None:
    assert shapes["a30-24gb"].width == 4
    assert shapes["h100-80gb"].width == 8
    assert shapes["rtx-pro-6000-96gb"].width == 12
