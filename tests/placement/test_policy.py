"""A policy's terms are its formula, on every state of the grid, and no name of a card decides which formula."""

import pytest

from allocator.placement.policy import Fgd, Policy, Tiny, Tuned
from allocator.placement.states import EMPTY, StateSpace, space_of
from bench.gpu import a100, plain
from bench.tuning import values
from tests.support.shapes import shapes

MIXES = (
    (1 / 6,) * 6,
    (0.3, 0.25, 0.2, 0.1, 0.1, 0.05),
    (0.05, 0.1, 0.1, 0.2, 0.25, 0.3),
    (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
)


def _value(policy: Policy, space: StateSpace, state: int, mix: tuple[float, ...]) -> float:
    constant, *by_kind = policy.terms(space, state)
    return constant + sum(share * term for share, term in zip(mix, by_kind, strict=True))


@pytest.mark.parametrize("mix", MIXES)
def test_the_default_is_the_tuned_formula_of_the_study(mix: tuple[float, ...]) -> None:
    """Against the formula as it was written down apart, for measuring, with numbers of its own."""
    space = space_of(plain(a100()))
    study = values.u2(space, mix)
    for state in range(len(space)):
        assert _value(Tuned(), space, state, mix) == pytest.approx(study[state])


@pytest.mark.parametrize("mix", MIXES)
def test_fragmentation_descent_is_that_of_the_study_but_for_its_tie(mix: tuple[float, ...]) -> None:
    """The tie to the fuller GPU is the search's part, not the policy's."""
    space = space_of(plain(a100()))
    study = values.fgd(space, mix)
    for state in range(len(space)):
        tie = values.TIE * (space.shape.width - space.free[state]) ** 2
        assert _value(Fgd(), space, state, mix) == pytest.approx(study[state] - tie)


def test_tiny_by_hand() -> None:
    """An empty GPU of 80 GB under equal demand: nothing is lost, 7 + 4 + 3 + 2 + 1 + 1 legal starts."""
    space = space_of(plain(a100()))
    assert _value(Tiny(), space, EMPTY, MIXES[0]) == pytest.approx(0.05 * 18 / 6)
    seven = space.after(EMPTY, len(space.shape.offers) - 1, 0)
    assert _value(Tiny(), space, seven, MIXES[0]) == pytest.approx(0.05)


@pytest.mark.parametrize("name", sorted(shapes()))
def test_every_model_has_a_default(name: str) -> None:
    """Cards that are cut as the 80 GB ones share its formula, with the media engines as one more of a class; others have `Tiny`."""
    shape = shapes()[name]
    space = space_of(shape)
    tiny = [Tiny().terms(space, state) for state in range(len(space))]
    tuned = [Tuned().terms(space, state) for state in range(len(space))]
    assert all(len(terms) == 1 + len(shape.offers) for terms in tuned)
    assert (tiny == tuned) == (shape.width != 8)
    assert Tuned().warm_margin(space) > 0
