"""Who is gone, who waits and who may pass, on courses worked out by hand."""

from collections import Counter

import pytest

from mig.placements import GpuShape
from mig.profiles import Profile, parse_profile
from simulate.load import Arrival, slice_sizes
from simulate.outcome import Outcome
from simulate.placer import Placer, Spot
from simulate.policies import make
from simulate.replay import Mode, replay
from tests.support.shapes import shapes

A100, A30 = shapes()["a100-80gb"], shapes()["a30-24gb"]


def pod(at: float, lasts: float, profile: str, priority: int = 0) -> Arrival:
    return Arrival(at, lasts, parse_profile(profile), None, priority)


def played(mode: Mode, *pods: Arrival, shape: GpuShape = A30, placer: Placer | None = None) -> Outcome:
    """A course on one GPU, first fit unless said otherwise."""
    return replay(
        pods,
        placer or make("first-fit", [shape]),
        sizes=slice_sizes([shape]),
        slices=shape.width,
        mode=mode,
        record=True,
    )


def begins(outcome: Outcome) -> list[tuple[float, str]]:
    return sorted((stay.begin, str(stay.placed.profile)) for stay in outcome.stays)


def test_in_loss_mode_a_pod_that_finds_no_place_is_gone() -> None:
    outcome = played(Mode.LOSS, pod(0, 10, "4g.24gb"), pod(5, 10, "1g.6gb"), pod(11, 1, "1g.6gb"))

    assert begins(outcome) == [(0, "4g.24gb"), (11, "1g.6gb")]
    assert (outcome.offered, outcome.accepted, outcome.slices_offered, outcome.slices_accepted) == (3, 2, 6, 5)


def test_a_slice_that_ends_makes_room_for_who_comes_at_that_instant() -> None:
    outcome = played(Mode.LOSS, pod(0, 10, "4g.24gb"), pod(10, 1, "4g.24gb"))

    assert outcome.accepted == 2


def test_fifo_lets_nobody_pass_the_first_that_waits() -> None:
    """Half the GPU is free from the start; the whole one waits for the other half, and the small one behind it waits for both."""
    outcome = played(Mode.FIFO, pod(0, 10, "2g.12gb"), pod(1, 10, "4g.24gb"), pod(2, 1, "1g.6gb"))

    assert begins(outcome) == [(0, "2g.12gb"), (10, "4g.24gb"), (20, "1g.6gb")]
    assert outcome.waits[parse_profile("1g.6gb")].longest == 18


def test_backfill_lets_anybody_go_who_fits() -> None:
    outcome = played(Mode.BACKFILL, pod(0, 10, "2g.12gb"), pod(1, 10, "4g.24gb"), pod(2, 1, "1g.6gb"))

    assert begins(outcome) == [(0, "2g.12gb"), (2, "1g.6gb"), (10, "4g.24gb")]


@pytest.mark.parametrize("mode", [Mode.FIFO, Mode.BACKFILL])
def test_of_those_that_wait_the_oldest_goes_first(mode: Mode) -> None:
    """Two halves come free at once: they go to the two oldest, of different profiles, and the youngest waits on."""
    outcome = played(
        mode,
        pod(0, 10, "4g.24gb"),
        pod(1, 5, "2g.12gb"),
        pod(2, 5, "1g.6gb"),
        pod(3, 5, "2g.12gb"),
        pod(4, 5, "1g.6gb"),
    )

    expected = [(0, "4g.24gb"), (10, "1g.6gb"), (10, "2g.12gb"), (15, "1g.6gb"), (15, "2g.12gb")]
    passed = [(0, "4g.24gb"), (10, "1g.6gb"), (10, "1g.6gb"), (10, "2g.12gb"), (15, "2g.12gb")]
    assert begins(outcome) == (expected if mode is Mode.FIFO else passed)


@pytest.mark.parametrize("mode", [Mode.FIFO, Mode.BACKFILL])
def test_a_higher_priority_goes_before_age(mode: Mode) -> None:
    outcome = played(mode, pod(0, 10, "4g.24gb"), pod(1, 10, "4g.24gb"), pod(2, 3, "2g.12gb", 5))

    assert begins(outcome) == [(0, "4g.24gb"), (10, "2g.12gb"), (13, "4g.24gb")]


def test_in_fifo_a_pod_of_higher_priority_that_fits_is_the_first_and_goes() -> None:
    outcome = played(Mode.FIFO, pod(0, 10, "2g.12gb"), pod(1, 10, "4g.24gb"), pod(2, 1, "1g.6gb", 1))

    assert begins(outcome) == [(0, "2g.12gb"), (2, "1g.6gb"), (10, "4g.24gb")]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_profile_that_no_gpu_offers_is_refused_and_blocks_nobody(mode: Mode) -> None:
    outcome = played(mode, pod(0, 1, "3g.40gb"), pod(0, 1, "1g.6gb"))

    assert begins(outcome) == [(0, "1g.6gb")]
    assert (outcome.offered, outcome.accepted) == (2, 1)


@pytest.mark.parametrize("mode", [Mode.FIFO, Mode.BACKFILL])
def test_who_is_refused_by_an_idle_fleet_is_given_up_at_the_end_and_the_others_are_served(mode: Mode) -> None:
    """The planner of nos knows no `+me`, though the GPU offers it."""
    outcome = played(
        mode,
        *(pod(0, 10, "7g.80gb"), pod(1, 1, "1g.10gb+me"), pod(2, 1, "1g.10gb+me"), pod(3, 1, "1g.10gb")),
        shape=A100,
        placer=make("nos", [A100]),
    )

    assert begins(outcome) == [(0, "7g.80gb"), (10, "1g.10gb")]
    assert outcome.profiles[parse_profile("1g.10gb+me")].accepted == 0


class Counting:
    """First fit that notes what it is asked."""

    def __init__(self) -> None:
        self.first_fit = make("first-fit", [A30])
        self.asked: Counter[tuple[float, Profile]] = Counter()

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:
        """First fit's answer, noted."""
        self.asked[now, profile] += 1
        return self.first_fit.place(profile, now=now, until=until)

    def release(self, spot: Spot, *, now: float) -> None:
        """Passed on."""
        self.first_fit.release(spot, now=now)


@pytest.mark.parametrize("mode", [Mode.FIFO, Mode.BACKFILL])
def test_one_refusal_answers_for_the_whole_queue_until_a_slice_ends(mode: Mode) -> None:
    """A thousand Pods of two profiles wait: while nothing ends, each profile is asked for once, and once more at each end."""
    counting = Counting()
    waiting = [pod(1 + number / 1e4, 1, "2g.12gb" if number % 2 else "1g.6gb") for number in range(1_000)]
    played(mode, pod(0, 10, "4g.24gb"), *waiting, placer=counting)

    before = sum(count for (now, _), count in counting.asked.items() if 0 < now < 10)
    assert before == (1 if mode is Mode.FIFO else 2)
    assert max(counting.asked.values()) <= 5
    assert sum(counting.asked.values()) < 1_000 + 1 + 2 * 1_000


def test_a_placer_is_told_when_a_slice_ends_only_if_that_was_declared() -> None:
    told: list[float | None] = []

    class Telling(Counting):
        def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:
            told.append(until)
            return super().place(profile, now=now, until=until)

    played(
        Mode.LOSS,
        Arrival(2.0, 5.0, parse_profile("1g.6gb"), declared=7.0),
        Arrival(3.0, 5.0, parse_profile("1g.6gb")),
        placer=Telling(),
    )

    assert told == [9.0, None]
