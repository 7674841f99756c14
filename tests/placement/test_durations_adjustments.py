"""The addend to a state's value is the sum that its definition says."""

from collections.abc import Iterable

import pytest

from allocator.placement.durations import Adjustments
from allocator.placement.states import EMPTY, StateSpace, space_of
from mig.placements import Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes


def state_of(space: StateSpace, slices: Iterable[tuple[str, Window]]) -> int:
    state = EMPTY
    for name, window in slices:
        state = space.after(state, space.kinds[parse_profile(name)], window.start)
    return state


@pytest.mark.parametrize(
    ("term", "expected"),
    [("empty", 0.0), ("crowd", 16.0), ("harmonic", 25 / 12), ("crowd_free", 4.0), ("used", 49.0), ("pairs", 1.0)],
)
def test_four_slices_of_which_two_are_a_pair(term: str, expected: float) -> None:
    """1g.10gb at 0, 1 and 3 fill one pair and a half; 3g.40gb takes the other half of the GPU, so one slice is free."""
    space = space_of(shapes()["h100-80gb"])
    ones = [("1g.10gb", Window(start, 1)) for start in (0, 1, 3)]
    state = state_of(space, [*ones, ("3g.40gb", Window(4, 4))])
    weights = {name: float(name == term) for name in ("empty", "crowd", "harmonic", "crowd_free", "used", "pairs")}
    assert Adjustments(**weights).of(space, state) == pytest.approx(expected)


def test_two_small_slices_in_different_pairs_are_no_pair() -> None:
    space = space_of(shapes()["h100-80gb"])
    state = state_of(space, [("1g.10gb", Window(1, 1)), ("1g.10gb", Window(2, 1))])
    assert Adjustments(empty=0, crowd=0, harmonic=0, crowd_free=0, used=0, pairs=1.0).of(space, state) == 0


@pytest.mark.parametrize("model", sorted(shapes()))
def test_only_an_empty_gpu_counts_as_empty(model: str) -> None:
    space = space_of(shapes()[model])
    empty = Adjustments(empty=1.0, crowd=0, harmonic=0, crowd_free=0, used=0, pairs=0)
    assert [state for state in range(len(space)) if empty.of(space, state)] == [EMPTY]
