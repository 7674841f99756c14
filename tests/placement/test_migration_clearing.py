"""Where two moves are not enough, one GPU is cleared: never wrongly, and never with fewer moves than there must be."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest

from allocator.placement.migration import Planner
from allocator.placement.moves import Group
from allocator.placement.states import space_of
from bench.gpu import a100, plain
from tests.support.migrating import RandomValues, carry_out, grouped, random_gpu

SPACE = space_of(plain(a100()))
(SEVEN,) = (offer.profile for offer in SPACE.shape.offers if offer.size == SPACE.shape.width)
MOST = 6


def test_a_long_plan_can_be_carried_out_and_gains_what_it_says() -> None:
    random = Random(2)
    long = 0
    for seed in range(60):
        values = RandomValues(SPACE, seed)
        fleet = [random_gpu(values, random, tries=tries, largest=2) for tries in (2, 4, 6)]
        for gpu in fleet:
            gpu.fixed, gpu.takes = frozenset(), gpu is fleet[-1]
        for profile in sorted(values.space.kinds):
            groups, members = grouped(fleet)
            plan = Planner().plan(profile, groups, most=MOST)
            if plan is not None and len(plan.moves) > 2:
                long += 1
                kept = [(gpu, set(gpu.slices)) for gpu in fleet]
                assert len(plan.moves) <= MOST
                assert carry_out(plan, profile, members) == pytest.approx(plan.gain)
                for gpu, slices in kept:
                    gpu.slices = slices
    assert long > 20


@pytest.mark.parametrize("seed", range(20))
def test_a_gpu_of_small_slices_is_cleared_exactly_if_there_is_room_for_them(seed: int) -> None:
    """All else stays: with as many holes as slices a 7g gets its GPU by as many moves, with one hole less it does not."""
    random = Random(seed)
    values = RandomValues(SPACE, seed)
    starts = sorted(random.sample(range(7), random.randint(3, 6)))
    scattered = _holding(values, starts, movable=True)
    holes = 0
    fleet = [scattered]
    while holes < len(starts):
        free = random.randint(1, min(3, len(starts) - holes))
        holes += free
        taken = sorted(random.sample(range(7), 7 - free))
        fleet.append(_holding(values, taken, movable=False))
    plan = Planner().plan(SEVEN, fleet, most=7)
    assert plan is not None
    assert len(plan.moves) == len(starts)
    assert (plan.gpu, plan.start) == ((0, 0), 0)
    fleet[-1] = _holding(values, range(7), movable=False)
    assert Planner().plan(SEVEN, fleet, most=7) is None


@pytest.mark.parametrize("most", range(7))
def test_no_gpu_is_cleared_by_more_moves_than_may_be_made(most: int) -> None:
    values = RandomValues(SPACE, 1)
    fleet = [_holding(values, (0, 1, 2, 4), movable=True), _holding(values, (6,), movable=False)]
    plan = Planner().plan(SEVEN, fleet, most=most)
    assert (plan is not None) == (most >= 4)


def _holding(values: RandomValues, starts: Iterable[int], *, movable: bool) -> Group:
    slots = tuple((0, start) for start in starts)
    return Group(values, SPACE.of(SPACE.placed[kind][start] for kind, start in slots), movable=slots if movable else ())


def test_a_gpu_with_a_slice_that_stays_is_not_cleared() -> None:
    values = RandomValues(SPACE, 1)
    free = _holding(values, (6,), movable=False)
    ones = _holding(values, (0, 1, 2, 4), movable=True)
    assert Planner().plan(SEVEN, [replace(ones, movable=ones.movable[1:]), free], most=7) is None
    plan = Planner().plan(SEVEN, [ones, free], most=7)
    assert plan is not None
    assert {move.placed for move in plan.moves} == {SPACE.placed[kind][start] for kind, start in ones.movable}
