"""What is said of decisions: exact where it says so, and measured on the fleet that it says."""

from itertools import product

import pytest

from bench.gpu import a100
from bench.placement.batches import SIZES, measure_batches
from bench.placement.churn import FULL, Churn
from bench.placement.contestants import CONTESTANTS, FIRST_FIT, Setting
from bench.placement.halffull import ASKED, GPUS, PODS, Room, half_full
from bench.placement.plan import mean_mix
from mig.occupancy import Placed, legal_starts
from mig.placements import Window
from mig.profiles import Profile, parse_profile
from simulate.placer import Spot


def spot(gpu: int, profile: str, start: int) -> Spot:
    offer = a100().by_profile[parse_profile(profile)]
    return Spot(gpu, Placed(Window(start, offer.size), offer.profile))


def full_but(*free: int) -> list[Spot]:
    """A fleet whose GPUs are full, but for some that are empty."""
    return [spot(gpu, "7g.80gb", 0) for gpu in range(GPUS) if gpu not in free]


def profiles(*names: str) -> list[Profile]:
    return [parse_profile(name) for name in names]


def fits(placed: tuple[Placed, ...], asked: list[Profile]) -> bool:
    """Whether one GPU takes all of them, by trying every start."""
    if not asked:
        return True
    offer = a100().by_profile[asked[0]]
    return any(
        fits((*placed, Placed(Window(start, offer.size), offer.profile)), asked[1:])
        for start in legal_starts(offer, placed)
    )


@pytest.mark.parametrize("beside", [(), (("1g.10gb", 1),), (("2g.20gb", 2), ("1g.10gb", 4))])
def test_what_fits_on_one_gpu_is_what_trying_every_start_finds(beside: tuple[tuple[str, int], ...]) -> None:
    """All multisets of up to two of each profile, beside slices that stay."""
    running = [*full_but(0), *(spot(0, profile, start) for profile, start in beside)]
    room = Room(running)
    placed = tuple(item.placed for item in running if item.gpu == 0)
    for counts in product(range(3), repeat=len(ASKED)):
        asked = [profile for profile, count in zip(profiles(*ASKED), counts, strict=True) for _ in range(count)]
        assert (room.fewest(asked) is not None) == fits(placed, asked), asked


def test_the_fewest_gpus_are_counted() -> None:
    """Three 3g need two GPUs; with small ones beside, still two."""
    room = Room(full_but(3, 4, 5))
    assert room.fewest(profiles("3g.40gb", "3g.40gb", "3g.40gb")) == 2
    assert room.fewest(profiles("3g.40gb", "3g.40gb", "3g.40gb", "1g.20gb", "1g.20gb")) == 2
    assert room.fewest([]) == 0


def test_who_comes_first_is_served_first() -> None:
    """The third 3g does not fit on one GPU, and nobody before it makes way."""
    room = Room(full_but(7))
    asked = profiles("1g.10gb", "3g.40gb", "3g.40gb", "1g.10gb")
    assert room.in_order(asked) == profiles("1g.10gb", "3g.40gb", "1g.10gb")


def test_where_a_policy_placed_everybody_everybody_can_be_placed() -> None:
    """And on no fewer GPUs than the fewest: this policy reuses nothing."""
    rounds = half_full("best-fit", rounds=4)
    assert any(one.placed == PODS for one in rounds)
    for one in rounds:
        assert one.touched >= one.needed > 0
        assert one.placed < PODS or one.possible == PODS


def test_decisions_are_timed_on_a_fleet_that_is_as_full_as_said() -> None:
    """And it stays so however many are timed; every decision has a time."""
    setting = Setting(shape=a100(), gpus=80, mix=mean_mix("uniform"), seed=1)
    churn = Churn(CONTESTANTS[FIRST_FIT].placer(setting), gpus=80, declared=False)
    churn.fill()
    took = churn.sample(500)
    assert churn.used / (80 * a100().width) == pytest.approx(FULL, abs=0.02)
    assert len(took) == 500
    assert min(took) > 0


def test_a_batch_is_measured_on_pods_that_all_find_a_place() -> None:
    """On 800 empty GPUs 1,000 Pods of these sizes all fit, so nobody's refusal makes the plan look quick."""
    report = measure_batches(quick=True)
    assert [one.placed for one in report.times] == list(SIZES)
    assert all(one.ms > 0 for one in report.times)
