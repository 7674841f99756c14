"""The half and the pair of a window come from the grid that the driver describes, for grids of any width."""

import pytest

from allocator.placement.durations import scopes_of
from mig.placements import Window
from tests.support.shapes import shapes


def test_on_an_eight_wide_grid_they_are_four_and_two_slices() -> None:
    scopes = scopes_of(shapes()["h100-80gb"])
    assert scopes[Window(5, 1)] == (Window(4, 4), Window(4, 2))
    assert scopes[Window(2, 2)] == (Window(0, 4), None)
    assert scopes[Window(4, 4)] == (None, None)
    assert scopes[Window(0, 8)] == (None, None)


def test_a_pair_that_is_the_half_is_left_out() -> None:
    assert scopes_of(shapes()["a30-24gb"])[Window(1, 1)] == (Window(0, 2), None)
    assert scopes_of(shapes()["rtx-pro-6000-96gb"])[Window(3, 3)] == (Window(0, 6), None)


@pytest.mark.parametrize("model", sorted(shapes()))
def test_all_windows_of_a_profile_have_a_scope_or_none_has(model: str) -> None:
    """Otherwise "nothing lies there" and "there is no such scope" would have to be told apart."""
    scopes = scopes_of(shapes()[model])
    for offer in shapes()[model].offers:
        found = {tuple(scope is None for scope in scopes[window]) for window in offer.windows()}
        assert len(found) == 1


@pytest.mark.parametrize("model", sorted(shapes()))
def test_a_scope_holds_its_window_and_more(model: str) -> None:
    for window, scopes in scopes_of(shapes()[model]).items():
        for scope in filter(None, scopes):
            assert scope.start <= window.start
            assert window.end <= scope.end
            assert window.size < scope.size
