"""A slice of declared lifetime goes where it is least in the way, now and once its neighbours have left."""

from math import exp

import pytest

from allocator.placement.durations import tuned
from allocator.placement.outlook import End, Outlook
from allocator.placement.states import EMPTY, StateSpace, space_of
from mig.profiles import parse_profile
from tests.support.shapes import shapes

HOUR = 3600.0


@pytest.fixture(scope="module")
def space() -> StateSpace:
    return space_of(shapes()["h100-80gb"])


class Gpu:
    """A GPU with slices whose ends are known, and the score of one more."""

    def __init__(self, space: StateSpace, value: list[float] | None = None) -> None:
        self.space = space
        self.outlook = Outlook(space, value or [float(free) for free in space.free], tuned())
        self.state = EMPTY
        self.ends: list[End] = []

    def put(self, profile: str, start: int, end: float | None) -> "Gpu":
        """A slice that ends at `end`, None where nobody declared it."""
        kind = self.space.kinds[parse_profile(profile)]
        self.state = self.space.after(self.state, kind, start)
        if end is not None:
            self.ends = sorted([*self.ends, (end, kind, start)])
        return self

    def score(self, profile: str, start: int, lasts: float, now: float = 0.0, scale: float = HOUR) -> float:
        """What one more slice is worth there."""
        kind = self.space.kinds[parse_profile(profile)]
        return self.outlook.score(
            lasts,
            before=self.state,
            after=self.space.after(self.state, kind, start),
            window=self.space.placed[kind][start].window,
            ends=self.ends,
            now=now,
            scale=scale,
        )


def test_it_is_the_gain_now_and_the_gains_to_come_less_the_penalty(space: StateSpace) -> None:
    """By hand: a neighbour leaves after half the lifetime, and every state is worth a number of its own."""
    value = [float(state % 17) for state in range(len(space))]
    gpu = Gpu(space, value).put("3g.40gb", 0, HOUR / 2)
    three, one = (space.kinds[parse_profile(name)] for name in ("3g.40gb", "1g.10gb"))
    alone = value[space.after(EMPTY, one, 4)] - value[EMPTY]
    beside = value[space.after(gpu.state, one, 4)] - value[space.after(EMPTY, three, 0)]
    horizon = tuned().coefficients.horizon * HOUR
    first, last = exp(-HOUR / 2 / horizon), exp(-HOUR / horizon)
    penalty = tuned().penalty(HOUR, scale=HOUR, gpu=HOUR / 2, half=None)
    expected = tuned().coefficients.now * beside + (1 - first) * beside + (first - last) * alone - penalty
    assert gpu.score("1g.10gb", 4, HOUR) == pytest.approx(expected)


def test_of_two_like_gpus_the_one_that_ends_with_the_slice_is_better(space: StateSpace) -> None:
    scores = [Gpu(space).put("3g.40gb", 0, end).score("1g.10gb", 4, HOUR) for end in (HOUR, HOUR / 10, 10 * HOUR)]
    assert scores[0] == max(scores)


def test_of_two_halves_the_one_that_ends_with_the_slice_is_better(space: StateSpace) -> None:
    gpu = Gpu(space).put("1g.10gb", 0, HOUR).put("1g.10gb", 4, 9 * HOUR)
    assert gpu.score("1g.10gb", 1, HOUR) > gpu.score("1g.10gb", 5, HOUR)


def test_a_slice_of_unknown_end_stays_and_nothing_is_aligned_to_it(space: StateSpace) -> None:
    gpu = Gpu(space).put("3g.40gb", 0, None)
    gain = -1.0  # one memory slice of the value that is the free ones
    ahead = gain * (1 - exp(-1 / tuned().coefficients.horizon))
    penalty = tuned().penalty(HOUR, scale=HOUR, gpu=None, half=None)
    assert gpu.score("1g.10gb", 4, HOUR) == pytest.approx(tuned().coefficients.now * gain + ahead - penalty)


def test_an_overdue_neighbour_counts_as_leaving_now(space: StateSpace) -> None:
    overdue, leaving = (Gpu(space).put("3g.40gb", 0, end).score("1g.10gb", 4, HOUR, now=HOUR) for end in (0.0, HOUR))
    assert overdue == pytest.approx(leaving)


def test_only_ratios_of_times_matter(space: StateSpace) -> None:
    hours = Gpu(space).put("3g.40gb", 0, HOUR).put("1g.10gb", 4, 2 * HOUR).score("1g.10gb", 5, HOUR / 2)
    seconds = Gpu(space).put("3g.40gb", 0, 1.0).put("1g.10gb", 4, 2.0).score("1g.10gb", 5, 0.5, scale=1.0)
    assert hours == pytest.approx(seconds)


def test_within_a_state_the_ceiling_ranks_by_how_near_the_ends_are_on_either_side(space: StateSpace) -> None:
    outlook = Gpu(space).outlook
    earlier, later = (
        [outlook.ceiling(1.0, HOUR, end, now=0.0, scale=HOUR) for end in ends]
        for ends in ((HOUR, HOUR / 2, HOUR / 10), (HOUR, 2 * HOUR, 10 * HOUR))
    )
    assert earlier == sorted(earlier, reverse=True)
    assert later == sorted(later, reverse=True)


@pytest.mark.parametrize("model", sorted(shapes()))
def test_every_grid_has_scores(model: str) -> None:
    """The 4-wide and the 12-wide one too, each profile at each start of an empty GPU and beside a neighbour."""
    room = space_of(shapes()[model])
    for offer in room.shape.offers:
        for start in offer.starts:
            gpu = Gpu(room)
            assert gpu.score(str(offer.profile), start, HOUR) < 0
            gpu.put(str(offer.profile), start, HOUR)
            for other, kind in room.kinds.items():
                for place, _ in room.places(gpu.state, kind):
                    assert gpu.score(str(other), place, HOUR) < 0
