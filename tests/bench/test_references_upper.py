"""Free migration and the clairvoyant bound stand above every policy, and no higher than they must."""

from collections.abc import Sequence
from itertools import compress, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.gpu import plain
from bench.placement.clairvoyant import Bound, Unsolved, clairvoyant
from bench.placement.cuts import Cuts, cuts_of
from bench.placement.free_migration import FreeMigration
from mig.profiles import Profile
from simulate.load import Arrival, Load, generate, named_load, slice_sizes
from simulate.policies import make
from simulate.replay import replay
from tests.support.shapes import shapes

A100 = plain(shapes()["a100-80gb"])
CUTS: Cuts = cuts_of(A100)
SIZES = slice_sizes([A100])
NAMED = {str(profile): profile for profile in CUTS.profiles}


def bound(arrivals: Sequence[Arrival], *, gpus: int, warm_up: int = 0) -> Bound:
    return clairvoyant(arrivals, CUTS, sizes=SIZES, gpus=gpus, warm_up=warm_up)


def slices_by_free_migration(arrivals: Sequence[Arrival], *, gpus: int) -> int:
    placer = FreeMigration(A100, CUTS, gpus=gpus)
    return replay(arrivals, placer, sizes=SIZES, slices=gpus * A100.width).slices_accepted


def possible(chosen: Sequence[Arrival], *, gpus: int) -> bool:
    """Whether these can all run, each at its time, under free migration; by counting at each arrival."""
    for now in chosen:
        running = [item.profile for item in chosen if item.at <= now.at < item.at + item.lasts]
        if not CUTS.hold([running.count(profile) for profile in CUTS.profiles], gpus=gpus):
            return False
    return True


def best_subset(arrivals: Sequence[Arrival], *, gpus: int) -> int:
    """The most slices of any set of arrivals, by trying all."""
    subsets = (list(compress(arrivals, picks)) for picks in product((0, 1), repeat=len(arrivals)))
    return max(sum(SIZES[a.profile] for a in chosen) for chosen in subsets if possible(chosen, gpus=gpus))


few_arrivals = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 9), st.sampled_from(sorted(CUTS.profiles))), min_size=1, max_size=8
).map(lambda rows: [Arrival(float(at), float(lasts), profile) for at, lasts, profile in sorted(rows)])


@settings(max_examples=60)
@given(few_arrivals, st.integers(1, 2))
def test_the_bound_is_never_below_the_best_choice_and_equals_it_where_it_is_whole(
    arrivals: list[Arrival], gpus: int
) -> None:
    """Brute force over all subsets of up to eight arrivals on one and two GPUs."""
    best, found = best_subset(arrivals, gpus=gpus), bound(arrivals, gpus=gpus)
    assert found.accepted >= best - 1e-6
    if all(min(share, 1 - share) < 1e-6 for share in found.chosen):
        assert found.accepted == pytest.approx(best)


def test_knowing_the_future_refuses_the_long_large_one() -> None:
    """A 7g for ten seconds or ten 7g for one: greedy takes the first, the bound the ten."""
    seven: Profile = NAMED["7g.80gb"]
    arrivals = [Arrival(0.0, 10.5, seven), *(Arrival(float(n), 1.0, seven) for n in range(1, 11))]
    assert slices_by_free_migration(arrivals, gpus=1) == 8
    assert bound(arrivals, gpus=1).accepted == pytest.approx(80.0)


def test_an_end_makes_room_for_an_arrival_of_the_same_instant() -> None:
    """As the replay has it, else a policy could pass the bound."""
    seven = NAMED["7g.80gb"]
    arrivals = [Arrival(0.0, 1.0, seven), Arrival(1.0, 1.0, seven)]
    assert bound(arrivals, gpus=1).accepted == pytest.approx(16.0)


def test_what_arrives_in_the_warm_up_takes_room_or_is_refused_but_is_not_counted() -> None:
    """The bound may refuse the first to make room for the second."""
    seven = NAMED["7g.80gb"]
    arrivals = [Arrival(0.0, 5.0, seven), Arrival(1.0, 5.0, seven), Arrival(2.0, 1.0, seven)]
    found = bound(arrivals, gpus=1, warm_up=1)
    assert found.accepted == pytest.approx(8.0)
    assert found.offered == 16


def test_a_solver_out_of_time_is_an_error_and_no_figure() -> None:
    arrivals = list(generate(Load(mix=named_load("uniform"), load=1.0, arrivals=3000), shapes=[A100] * 100, seed=1))
    with pytest.raises(Unsolved):
        clairvoyant(arrivals, CUTS, sizes=SIZES, gpus=100, limit_s=1e-6)


def test_free_migration_places_what_no_policy_without_moves_can() -> None:
    """Two 1g left in different halves keep a 4g out; moved together they do not."""
    one, four, three = NAMED["1g.10gb"], NAMED["4g.40gb"], NAMED["3g.40gb"]
    placer = FreeMigration(A100, CUTS, gpus=1)
    spots = [placer.place(profile, now=0.0) for profile in (one, one, three)]
    assert all(spots)
    assert placer.place(three, now=0.0) is None
    assert spots[2] is not None
    placer.release(spots[2], now=1.0)
    assert placer.place(four, now=1.0) is not None


@pytest.mark.parametrize("mix", ["uniform", "small", "large", "bimodal"])
def test_policies_free_migration_and_the_bound_stand_in_this_order(mix: str) -> None:
    """On one load of 1,500 arrivals on 20 GPUs; each by more than a slice or two."""
    gpus = [A100] * 20
    arrivals = list(generate(Load(mix=named_load(mix), load=1.1, arrivals=1500), shapes=gpus, seed=11))
    placer = make("first-fit", gpus, per_node=8, seed=0)
    first_fit = replay(arrivals, placer, sizes=SIZES, slices=20 * A100.width).slices_accepted
    assert first_fit < slices_by_free_migration(arrivals, gpus=20) < bound(arrivals, gpus=20).accepted
