"""A budget of moves is never overspent, saves only so much, and goes to the plans that are worth more than plans usually are."""

from random import Random

import pytest

from allocator.placement.budget import SAVED, Budget, worth
from allocator.placement.migration import Move, Plan
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import parse_profile


def plan(*, moves: int, gain: float = 0.0) -> Plan:
    placed = Placed(Window(0, 1), parse_profile("1g.10gb"))
    return Plan((Move((0, 0), placed, (1, 0), 0),) * moves, (0, 0), 0, gain)


def spend_all(budget: Budget) -> int:
    """Moves that a burst of plans gets, each as good as none before."""
    spent = 0
    for number in range(10 * SAVED):
        spent += budget.spend(1000.0 * 2**number, moves=1)
    return spent


@pytest.mark.parametrize("every", [1, 20, 50])
@pytest.mark.parametrize("seed", range(5))
def test_never_more_moves_than_one_in_so_many_arrivals(every: int, seed: int) -> None:
    """Whatever plans come, of one move or two, at any moment of the run."""
    random = Random(seed)
    budget, spent = Budget(every), 0
    for arrivals in range(1, 60 * every):
        budget.arrived()
        moves = random.choice((1, 2))
        spent += moves * budget.spend(random.gauss(0, 5), moves=moves)
        assert spent * every <= arrivals


@pytest.mark.parametrize("saved", [1, 7, SAVED])
def test_no_burst_is_longer_than_what_can_be_saved(saved: int) -> None:
    budget = Budget(10, saved=saved)
    for _ in range(100_000):
        budget.arrived()
    assert budget.moves == saved
    assert spend_all(budget) <= saved
    budget.arrived()
    assert budget.moves <= saved


def test_a_move_takes_exactly_as_many_arrivals_as_were_said() -> None:
    budget = Budget(50)
    for _ in range(49):
        budget.arrived()
    assert budget.moves == 0
    assert not budget.spend(1e9, moves=1)
    budget.arrived()
    assert budget.moves == 1


def test_a_plan_of_two_moves_needs_two_in_hand() -> None:
    budget = Budget(1)
    budget.arrived()
    assert not budget.spend(1e9, moves=2)
    assert budget.moves == 1


@pytest.mark.parametrize(("shift", "unit"), [(0.0, 1.0), (-40.0, 1.0), (300.0, 25.0)])
def test_the_better_half_of_the_plans_gets_most_of_the_moves_whatever_their_scale(shift: float, unit: float) -> None:
    """Two plans for each move there is: as values of another policy or mix have another zero and unit, these must not matter."""
    random = Random(4)
    budget = Budget(10)
    good = bad = 0
    for number in range(20_000):
        budget.arrived()
        if number % 5 == 0:
            how_good = random.gauss(0, 1)
            if budget.spend(shift + unit * how_good, moves=1):
                good, bad = good + (how_good > 0), bad + (how_good <= 0)
    assert good + bad > 1_900  # of 2,000: what is not spent is lost
    assert good > 4 * bad


def test_with_all_saved_any_plan_is_carried_out() -> None:
    budget = Budget(10)
    for number in range(1000):
        budget.arrived()
        budget.spend(100.0 + number % 7, moves=SAVED + 1)  # what is usual is learned from what cannot be paid, too
    assert budget.moves == SAVED
    assert budget.spend(-1e6, moves=1)


def test_large_slices_free_fleets_short_stays_and_few_moves_are_worth_more() -> None:
    usual = worth(plan(moves=1), size=4, free=0.05)
    assert worth(plan(moves=1), size=8, free=0.05) > usual
    assert worth(plan(moves=1), size=4, free=0.10) > usual
    assert worth(plan(moves=1), size=4, free=0.05, lasts=0.2) > usual
    assert worth(plan(moves=1), size=4, free=0.05, lasts=3.0) < usual
    assert worth(plan(moves=1, gain=1.0), size=4, free=0.05) == pytest.approx(usual + 1.0)
    assert worth(plan(moves=2), size=4, free=0.05) < usual


@pytest.mark.parametrize(("every", "saved"), [(0, 20), (-1, 20), (50, 0)])
def test_a_budget_that_says_nothing_is_refused(every: int, saved: int) -> None:
    with pytest.raises(ValueError, match="one move in 1 or more arrivals"):
        Budget(every, saved=saved)
