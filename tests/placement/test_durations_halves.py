"""The half of a window comes from the grid that the driver describes, for grids of any width."""

import pytest

from allocator.placement.durations import halves_of
from mig.placements import Window
from tests.support.shapes import shapes


def test_on_an_eight_wide_grid_it_is_four_slices() -> None:
    halves = halves_of(shapes()["h100-80gb"])
    assert halves[Window(5, 1)] == Window(4, 4)
    assert halves[Window(2, 2)] == Window(0, 4)
    assert halves[Window(4, 4)] is None
    assert halves[Window(0, 8)] is None


def test_on_a_four_and_a_twelve_wide_grid_it_is_two_and_six() -> None:
    assert halves_of(shapes()["a30-24gb"])[Window(1, 1)] == Window(0, 2)
    assert halves_of(shapes()["rtx-pro-6000-96gb"])[Window(3, 3)] == Window(0, 6)


@pytest.mark.parametrize("model", sorted(shapes()))
def test_all_windows_of_a_profile_have_a_half_around_them_or_none_has(model: str) -> None:
    """Otherwise "nothing lies there" and "the window fills it" would have to be told apart."""
    halves = halves_of(shapes()[model])
    for offer in shapes()[model].offers:
        assert len({halves[window] is None for window in offer.windows()}) == 1


@pytest.mark.parametrize("model", sorted(shapes()))
def test_a_half_holds_its_window_and_more(model: str) -> None:
    for window, half in halves_of(shapes()[model]).items():
        if half is not None:
            assert half.start <= window.start
            assert window.end <= half.end
            assert window.size < half.size
