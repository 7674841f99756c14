"""A migration plan has the fewest moves there are, up to two, and no plan with as many leaves the fleet better: shown by trial."""

from random import Random

import pytest

from allocator.placement.migration import Planner
from allocator.placement.states import StateSpace, space_of
from bench.gpu import plain
from mig.geometries import parse_geometries
from mig.profiles import Profile
from tests.support.migrating import RandomValues, best_by_trial, carry_out, grouped, random_gpu
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
SPACES = {
    "a30": (space_of(shapes()["a30-24gb"]),),
    "a100": (space_of(plain(A100)),),
    "rtx-pro-6000": (space_of(shapes()["rtx-pro-6000-96gb"]),),
    "two models": (space_of(A100), space_of(shapes()["h100-80gb"])),
    "geometries": (
        space_of(
            A100,
            parse_geometries(
                [{"models": ["X"], "allowedGeometries": [{"1g.10gb": 5, "3g.40gb": 1}, {"2g.20gb": 2, "3g.40gb": 1}]}]
            ).for_model("X"),
        ),
        space_of(plain(A100)),
    ),
}
GPUS = {"a30": 3, "a100": 2, "rtx-pro-6000": 2, "two models": 2, "geometries": 2}
FLEETS = {"a30": 150, "a100": 80, "rtx-pro-6000": 120, "two models": 50, "geometries": 80}


def profiles_of(spaces: tuple[StateSpace, ...]) -> list[Profile]:
    return sorted({profile for space in spaces for profile in space.kinds})


@pytest.mark.parametrize("name", SPACES)
def test_no_plan_has_fewer_moves_or_as_many_and_a_larger_gain(name: str) -> None:
    """Random fleets under random values, with slices that stay and GPUs that take no new slice; every profile that has no place."""
    random = Random(1)
    planned = {0: 0, 1: 0, 2: 0, None: 0}
    for seed in range(FLEETS[name]):
        values = [RandomValues(space, seed + number) for number, space in enumerate(SPACES[name])]
        tries = random.choice((3, 8, 20))
        fleet = [random_gpu(values[gpu % len(values)], random, tries=tries) for gpu in range(GPUS[name])]
        for profile in profiles_of(SPACES[name]):
            trial = next(
                (
                    (moves, gain)
                    for moves in (0, 1, 2)
                    if (gain := best_by_trial(fleet, profile, moves=moves)) is not None
                ),
                None,
            )
            groups, members = grouped(fleet)
            plan = Planner().plan(profile, groups, most=2)
            planned[None if plan is None else len(plan.moves)] += 1
            if trial is None or plan is None:
                assert trial is None
                assert plan is None
                continue
            assert len(plan.moves) == trial[0]
            assert plan.gain == pytest.approx(trial[1])
            kept = [(gpu, set(gpu.slices)) for gpu in fleet]
            assert carry_out(plan, profile, members) == pytest.approx(plan.gain)
            for gpu, slices in kept:
                gpu.slices = slices
    assert all(planned.values()), f"a kind of answer was never met: {planned}"
