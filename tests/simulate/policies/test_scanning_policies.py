"""Each policy that looks at every GPU goes where its description says, on layouts worked out by hand that tell it from others."""

import pytest

from simulate.policies import make
from simulate.policies.best_fit import BestFit
from simulate.policies.best_index import BestIndex
from simulate.policies.fgd import Fgd
from simulate.policies.first_fit import FirstFit
from simulate.policies.mfi import Mfi, MfiAll
from simulate.policies.scan import Scan
from simulate.policies.spread import Spread
from tests.simulate.policies.laying import A30, A100, fleet, lay, profile, went


@pytest.mark.parametrize(
    ("policy", "where"),
    [(FirstFit, (0, 2)), (Spread, (1, 0)), (BestFit, (2, 4)), (BestIndex, (2, 4)), (Mfi, (2, 4)), (Fgd, (0, 2))],
)
def test_the_same_layout_sends_the_same_slice_elsewhere(policy: type[Scan], where: tuple[int, int]) -> None:
    """GPU 0 holds one slice at 0, GPU 1 nothing, GPU 2 a half at 0; a 2g.20gb comes.

    For FGD, of six equally likely profiles two have no place on GPU 0 before and after (7 free, then 5: 4/6 less lost); on GPU 2
    two before and four after (4 free, then 2: as much lost).
    """
    placer = policy(fleet(3))
    lay(placer, 0, "1g.10gb", 0)
    lay(placer, 2, "4g.40gb", 0)

    assert went(placer, "2g.20gb") == where


def test_best_fit_sees_how_much_is_free_and_not_where() -> None:
    """Both GPUs are half full; index order takes the lower half of GPU 0, which a 4g.40gb needs, best index the upper of GPU 1."""
    plain, indexed = BestFit(fleet(2)), BestIndex(fleet(2))
    for placer in (plain, indexed):
        lay(placer, 0, "3g.40gb", 4)
        lay(placer, 1, "3g.40gb", 0)

    assert went(plain, "3g.40gb") == (0, 0)
    assert went(indexed, "3g.40gb") == (1, 4)


def test_best_index_fills_a_gpu_in_the_drivers_own_order() -> None:
    """One slice at 6, 4, 5, 0, 1, 2, 3, and three at 4 before 0, found from the offers alone."""
    ones, threes = BestIndex(fleet(1)), BestIndex(fleet(1))

    assert [went(ones, "1g.10gb") for _ in range(8)] == [*((0, start) for start in (6, 4, 5, 0, 1, 2, 3)), None]
    assert [went(threes, "3g.40gb") for _ in range(3)] == [(0, 4), (0, 0), None]


def test_fgd_keeps_whole_what_the_demand_needs() -> None:
    """All demand is 4g.40gb, which fits at 0 only: small slices go to the upper half, the second to the fuller GPU."""
    placer = Fgd(fleet(2), mix={profile("4g.40gb"): 1.0})

    assert went(placer, "1g.10gb") == (0, 4)
    assert went(placer, "1g.10gb") == (0, 5)


def test_fgd_breaks_ties_by_the_fuller_gpu_and_not_by_index() -> None:
    placer = Fgd(fleet(2), mix={profile("4g.40gb"): 1.0})
    lay(placer, 1, "1g.10gb", 4)

    assert went(placer, "1g.10gb") == (1, 5)


def test_fragmentation_is_free_room_times_the_demand_that_no_longer_fits() -> None:
    """With one slice in the upper half 7 are free, and the half of the demand that is 7g.80gb has lost them."""
    placer = Fgd(fleet(1), mix={profile("4g.40gb"): 1.0, profile("7g.80gb"): 1.0})
    space = placer._fleet.spaces[0]
    lay(placer, 0, "1g.10gb", 4)

    assert placer.fragmentation(space, placer._fleet.states[0]) == pytest.approx(3.5)
    assert placer.fragmentation(space, 0) == 0.0


def test_fgd_without_a_mix_counts_every_plain_profile_the_same() -> None:
    """One slice at 0 of an A30 leaves 3 free; of 1g, 2g and 4g (and what else is plain) only 4g has lost its place."""
    placer = Fgd(fleet(1, A30))
    space = placer._fleet.spaces[0]
    plain = [offer for offer in A30.offers if not offer.profile.attributes]
    lay(placer, 0, "1g.6gb", 0)

    assert placer.fragmentation(space, placer._fleet.states[0]) == pytest.approx(3 / len(plain))


def test_mfi_scores_the_windows_that_something_stands_in() -> None:
    """One slice at 0 stands in a window of 1g (1), 1g.20gb (2), 2g (2), 3g (4) and 4g (4); at 6 only in those of 1, 2 and 4."""
    placer = Mfi(fleet(1))
    space = placer._fleet.spaces[0]
    kind = space.kinds[profile("1g.10gb")]

    assert placer.score(space, space.after(0, kind, 0)) == 13
    assert placer.score(space, space.after(0, kind, 6)) == 7
    assert placer.score(space, 0) == 0


def test_mfi_does_not_count_profiles_larger_than_what_is_free() -> None:
    """A half at 4 leaves 4: broken are three of 1g, two of 1g.20gb, one of 2g, one of 3g; 7g.80gb is too large to count."""
    placer = Mfi(fleet(1))
    space = placer._fleet.spaces[0]

    assert placer.score(space, space.after(0, space.kinds[profile("3g.40gb")], 4)) == 3 * 1 + 2 * 2 + 2 + 4


def test_mfi_of_all_profiles_counts_them_too() -> None:
    """The same half at 4 breaks the one window of 7g.80gb as well."""
    placer = MfiAll(fleet(1))
    space = placer._fleet.spaces[0]

    assert placer.score(space, space.after(0, space.kinds[profile("3g.40gb")], 4)) == 3 * 1 + 2 * 2 + 2 + 4 + 8


def test_mfi_takes_the_least_growth_wherever_it_is() -> None:
    placer = Mfi(fleet(2))

    assert went(placer, "1g.10gb") == (0, 6)


@pytest.mark.parametrize("name", ["first-fit", "spread", "best-fit", "best-index", "mfi", "mfi-all", "fgd"])
def test_a_fleet_of_two_models_is_looked_at_as_one(name: str) -> None:
    """A profile goes to the model that offers it, at that GPU's place in the list."""
    placer = make(name, [A30, A100, A30])

    for asked, gpu in (("7g.80gb", 1), ("4g.24gb", 0), ("4g.24gb", 2)):
        spot = placer.place(profile(asked), now=0.0)
        assert spot is not None
        assert spot.gpu == gpu
    assert placer.place(profile("1g.10gb"), now=0.0) is None
