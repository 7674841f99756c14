"""What a replay came to: shares, utilisation, GPUs in use and waiting times, checked against courses worked out by hand."""

from itertools import pairwise

import pytest

from mig.profiles import parse_profile
from simulate.load import Arrival, Load, fleet_slices, generate, named_mixes, slice_sizes
from simulate.outcome import Outcome, summary
from simulate.policies import make
from simulate.replay import Mode, NothingToCount, replay
from tests.support.shapes import shapes

A100, A30 = shapes()["a100-80gb"], shapes()["a30-24gb"]


def pod(at: float, lasts: float, profile: str) -> Arrival:
    return Arrival(at, lasts, parse_profile(profile))


def played(*pods: Arrival, policy: str = "spread", warm_up: int = 0, mode: Mode = Mode.LOSS) -> Outcome:
    """A course on two A30s."""
    return replay(
        pods, make(policy, [A30, A30]), sizes=slice_sizes([A30]), slices=8, mode=mode, warm_up=warm_up, record=True
    )


def test_utilisation_and_gpus_in_use_are_weighted_by_time() -> None:
    """From 0 to 10: two slices all the time, four more from 2 to 7 on the other GPU; nothing counts after the last arrival."""
    outcome = played(pod(0, 100, "2g.12gb"), pod(2, 5, "4g.24gb"), pod(10, 1, "1g.6gb"))

    assert outcome.span == 10.0
    assert outcome.utilisation == pytest.approx((2 * 10 + 4 * 5) / (8 * 10))
    assert outcome.gpus_in_use == pytest.approx((10 + 5) / 10)
    assert outcome.gpus_peak == 2


def test_the_warm_up_is_played_and_not_counted() -> None:
    """The first two fill the fleet; of the two that count one is refused, and the clock starts at the first of them."""
    outcome = played(pod(0, 100, "4g.24gb"), pod(1, 5, "4g.24gb"), pod(4, 1, "1g.6gb"), pod(8, 1, "1g.6gb"), warm_up=2)

    assert (outcome.offered, outcome.accepted) == (2, 1)
    assert outcome.span == 4.0
    assert outcome.utilisation == pytest.approx((4 * 4 + 4 * 2) / (8 * 4))
    assert outcome.gpus_peak == 2


@pytest.mark.parametrize("pods", [0, 3])
def test_a_warm_up_that_leaves_nothing_is_refused(pods: int) -> None:
    with pytest.raises(NothingToCount, match=f"{pods} arrivals"):
        played(*[pod(number, 1, "1g.6gb") for number in range(pods)], warm_up=3)


def test_requests_and_slices_are_counted_by_profile_and_together() -> None:
    outcome = played(pod(0, 9, "4g.24gb"), pod(0, 9, "4g.24gb"), pod(1, 9, "4g.24gb"), pod(2, 9, "2g.12gb"))
    whole, half = outcome.profiles[parse_profile("4g.24gb")], outcome.profiles[parse_profile("2g.12gb")]

    assert (whole.offered, whole.accepted, whole.size) == (3, 2, 4)
    assert (half.offered, half.accepted, half.size) == (1, 0, 2)
    assert outcome.requests_share == pytest.approx(2 / 4)
    assert outcome.slices_share == pytest.approx(8 / 14)


def test_the_share_of_warm_slices_is_of_the_placements() -> None:
    """The planner of nos cuts for the first and reuses what it left for the two behind it."""
    outcome = played(pod(0, 1, "4g.24gb"), pod(2, 1, "4g.24gb"), pod(4, 1, "4g.24gb"), policy="nos")

    assert outcome.accepted == 3
    assert outcome.reused_share == pytest.approx(2 / 3)


def test_waiting_times_are_by_profile_and_absent_in_loss_mode() -> None:
    pods = (pod(0, 10, "4g.24gb"), pod(0, 10, "4g.24gb"), pod(4, 1, "2g.12gb"), pod(7, 1, "2g.12gb"))
    waits = played(*pods, mode=Mode.BACKFILL).waits

    assert waits[parse_profile("4g.24gb")].longest == 0.0
    assert waits[parse_profile("2g.12gb")].mean == pytest.approx((6 + 3) / 2)
    assert played(*pods).waits == {}
    assert played(*pods).all_waits is None


def test_percentiles_are_nearest_rank() -> None:
    waits = summary(float(number) for number in range(100, 0, -1))

    assert (waits.mean, waits.p50, waits.p95, waits.longest) == (50.5, 50.0, 95.0, 100.0)
    assert summary([7.0]) == summary([7.0, 7.0, 7.0])


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("policy", ["first-fit", "best-index", "dra"])
def test_recorded_stays_never_overlap_and_add_up_to_what_was_measured(mode: Mode, policy: str) -> None:
    """Utilisation and GPUs in use, worked out anew from the record of a generated load."""
    fleet = [A100] * 4
    arrivals = list(generate(Load(mix=named_mixes()["uniform"], load=0.9, arrivals=600), shapes=fleet, seed=5))
    outcome = replay(
        arrivals,
        make(policy, fleet),
        sizes=slice_sizes(fleet),
        slices=fleet_slices(fleet),
        mode=mode,
        warm_up=100,
        record=True,
    )
    begin, end = arrivals[100].at, arrivals[-1].at

    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for stay in outcome.stays:
        for cell in range(stay.placed.window.start, stay.placed.window.end):
            cells.setdefault((stay.gpu, cell), []).append((stay.begin, stay.end))
    assert all(one[1] <= other[0] for course in cells.values() for one, other in pairwise(sorted(course)))
    used = sum(max(0.0, min(out, end) - max(into, begin)) for course in cells.values() for into, out in course)
    assert outcome.utilisation == pytest.approx(used / (32 * (end - begin)))
    if mode is not Mode.LOSS:
        assert outcome.accepted == outcome.offered == 500
