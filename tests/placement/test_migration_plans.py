"""What a migration plan says in cases that a reader can check, and that it depends on kinds of GPUs alone, not on their number."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from allocator.placement.migration import Move, Plan, Planner
from allocator.placement.moves import Group
from allocator.placement.policy import Tiny
from allocator.placement.states import StateSpace, space_of
from allocator.placement.table import Table
from bench.gpu import a100, plain
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import Profile, parse_profile
from tests.support.migrating import RandomValues
from tests.support.shapes import shapes

SPACE = space_of(plain(a100()))
TABLE = Table(SPACE, Tiny(), [1 / 6] * 6)
ONE, DOUBLE, TWO, THREE, FOUR, SEVEN = (offer.profile for offer in SPACE.shape.offers)
FULL = ((SEVEN, 0),)


def group(
    slices: Iterable[tuple[Profile, int]],
    *,
    count: int = 1,
    stay: bool = False,
    takes: bool = True,
    table: Table = TABLE,
) -> Group:
    space = table.space
    slots = tuple(sorted((space.kinds[profile], start) for profile, start in slices))
    state = space.of(space.placed[kind][start] for kind, start in slots)
    return Group(table, state, count=count, movable=() if stay else slots, takes=takes)


def at(profile: Profile, start: int, *, space: StateSpace = SPACE) -> Placed:
    return Placed(Window(start, space.shape.by_profile[profile].size), profile)


def plan(profile: Profile, *groups: Group, most: int = 2) -> Plan | None:
    return Planner().plan(profile, groups, most=most)


def test_two_halves_on_two_gpus_become_a_whole_one_by_one_move() -> None:
    found = plan(SEVEN, group([(THREE, 0)]), group([(THREE, 4)]), group(FULL))
    assert found is not None
    # Either may go: the one that lies at 4 leaves the lower half, where more fits, to nobody's use, so all gains are equal.
    assert found.moves in (
        (Move((0, 0), at(THREE, 0), (1, 0), 0),),
        (Move((1, 0), at(THREE, 4), (0, 0), 4),),
    )
    assert found.gpu == found.moves[0].source
    assert found.start == 0


def test_a_slice_may_move_within_its_own_gpu() -> None:
    found = plan(FOUR, group([(THREE, 0)]), group(FULL))
    assert found is not None
    assert found.moves == (Move((0, 0), at(THREE, 0), (0, 0), 4),)
    assert (found.gpu, found.start) == ((0, 0), 0)


def test_a_slice_makes_way_for_the_one_that_moves() -> None:
    """4g lies only at 0: to leave a GPU to a 7g it needs the half from which a 2g goes, which alone would free nothing."""
    mixed = group([(TWO, 0), (THREE, 4)])
    only_two = replace(mixed, movable=((SPACE.kinds[TWO], 0),))
    found = plan(SEVEN, group([(FOUR, 0)]), only_two, group([(FOUR, 0), (ONE, 6)], stay=True))
    assert found is not None
    assert set(found.moves) == {Move((0, 0), at(FOUR, 0), (1, 0), 0), Move((1, 0), at(TWO, 0), (2, 0), 4)}
    assert (found.gpu, found.start) == ((0, 0), 0)


def test_two_gpus_of_one_group_are_told_apart() -> None:
    found = plan(SEVEN, group([(THREE, 0)], count=2))
    assert found is not None
    (move,) = found.moves
    assert {move.source, move.target} == {(0, 0), (0, 1)}
    assert plan(SEVEN, group([(THREE, 0)], count=1)) is None


def test_nothing_moves_that_must_stay() -> None:
    assert plan(SEVEN, group([(THREE, 0)], stay=True), group([(THREE, 4)], stay=True)) is None
    found = plan(SEVEN, group([(THREE, 0)], stay=True), group([(THREE, 4)]))
    assert found is not None
    assert found.moves == (Move((1, 0), at(THREE, 4), (0, 0), 4),)


def test_the_new_slice_goes_only_where_its_pod_may_go_and_the_moved_ones_may_go_elsewhere() -> None:
    found = plan(SEVEN, group([], takes=False), group([(SEVEN, 0)]))
    assert found is not None
    assert found.moves == (Move((1, 0), at(SEVEN, 0), (0, 0), 0),)
    assert found.gpu == (1, 0)
    assert plan(SEVEN, group([], takes=False), group([(SEVEN, 0)], takes=False)) is None


def test_a_slice_moves_only_to_a_gpu_that_offers_its_profile() -> None:
    small = Table(space_of(shapes()["a30-24gb"]), Tiny(), [0.2] * 5)
    assert plan(SEVEN, group([(ONE, 0)]), group([], table=small)) is None
    mixed = Table(space_of(a100()), Tiny(), [1 / 7] * 7)
    media = parse_profile("1g.10gb+me")
    assert plan(SEVEN, group([(media, 0)], table=mixed), group([(ONE, 6)], stay=True)) is None
    found = plan(SEVEN, group([(ONE, 0)], table=mixed), group([(ONE, 6)], stay=True))
    assert found is not None
    assert found.moves[0].target == (1, 0)


def test_a_place_that_is_there_needs_no_move() -> None:
    found = plan(SEVEN, group(FULL), group([]), most=0)
    assert found is not None
    assert (found.moves, found.gpu) == ((), (1, 0))


@pytest.mark.parametrize("most", [0, 1])
def test_a_plan_with_more_moves_than_may_be_made_is_not_made(most: int) -> None:
    scattered = (group([(THREE, 4), (ONE, 0)]), group([(ONE, 0), (TWO, 2)]))
    longer = plan(SEVEN, *scattered)
    assert longer is not None
    assert len(longer.moves) == 2
    assert plan(SEVEN, *scattered, most=most) is None


@pytest.mark.parametrize("seed", range(10))
def test_a_slice_goes_to_its_third_best_place_where_the_others_are_taken(seed: int) -> None:
    """2g fits on one GPU only and 1g must go where there is room for nothing else, however well it would lie on the first two."""
    values = RandomValues(SPACE, seed)
    leaves = replace(group([(ONE, 0), (TWO, 2)]), values=values)
    for_two, for_one = (
        replace(group([(ONE, start) for start in starts], stay=True), values=values)
        for starts in ((0, 1, 2, 3, 6), (0, 1, 2, 3, 4, 5))
    )
    found = plan(SEVEN, leaves, for_two, for_one)
    assert found is not None
    assert set(found.moves) == {Move((0, 0), at(TWO, 2), (1, 0), 4), Move((0, 0), at(ONE, 0), (2, 0), 6)}


def test_forty_thousand_gpus_are_planned_like_a_hundred() -> None:
    """The plan is the same whether each kind of GPU is there thrice or 10,000 times: only kinds are looked at."""
    kinds = ([(THREE, 0), (ONE, 4)], [(TWO, 0), (THREE, 4)], [(ONE, 0), (TWO, 2)], FULL)
    few, many = ([group(kind, count=count) for kind in kinds] for count in (3, 10_000))
    assert plan(SEVEN, *few) == plan(SEVEN, *many)
    assert plan(SEVEN, *few) is not None


def test_a_planner_that_has_planned_before_plans_like_a_new_one() -> None:
    planner = Planner()
    fleets = [[group([(THREE, start)]), group([(TWO, 0), (ONE, 4)]), group(FULL)] for start in (0, 4, 0)]
    for fleet in fleets:
        for profile in (SEVEN, FOUR, THREE):
            assert planner.plan(profile, fleet) == Planner().plan(profile, fleet)
