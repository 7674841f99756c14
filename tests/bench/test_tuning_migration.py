"""A budget of moves is worth what the study says it is, at least by its sign, and the study counts moves honestly."""

import pytest

from bench.tuning.loads import ARRIVALS
from bench.tuning.migration import Study


@pytest.mark.timeout(300)
def test_moves_accept_more_than_fgd_and_no_more_than_the_budget_are_made() -> None:
    """Signs only, where they are far from 0: the study shows +1.8 and +2.3 points on this mix, 0.3 is one seed's deviation."""
    rare, often = Study("uniform").rows(7, everies=(50, 20), most=2, declared=False)
    assert rare.points > 0
    assert often.points > 0
    assert 0 < rare.moves <= ARRIVALS / 50 < often.moves <= ARRIVALS / 20
    assert 0 < rare.way < often.way < 1.5


@pytest.mark.timeout(300)
def test_a_budget_that_knows_how_long_slices_stay_accepts_more() -> None:
    """The study shows 45 percent of the way more on this mix, the deviation of one seed is 10."""
    study = Study("uniform")
    (blind,) = study.rows(7, everies=(50,), most=1, declared=False)
    (told,) = study.rows(7, everies=(50,), most=1, declared=True)
    assert told.points > blind.points
