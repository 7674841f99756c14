"""How good a place is for a slice of declared lifetime, its neighbours' ends known: the score that placement maximises for it.

The value tables say what a place costs now. As the neighbours leave, the same slice stands in the way of other things: the outlook
goes through the states that the GPU will pass until the slice ends, and adds the gain in each, the far ones less. From that the
penalty of `durations` is taken, for what comes later than the tables see. One object serves one space under one value table; it
reads no clock and knows no fleet. To bound the looks, score the GPUs in order of `ceiling`, `LOOKS` of them at most.
"""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Final

from allocator.placement.durations import Durations, halves_of
from allocator.placement.states import StateSpace
from mig.placements import Window

LOOKS: Final = 16
"""GPUs that are scored for one slice.

Measured with right lifetimes: on 100 GPUs all of them are worth what 16 are, within 0.03 points (40 seeds); on 1,000 GPUs 64 are
(3 seeds).
"""

End = tuple[float, int, int]
"""When a slice ends (seconds on the caller's clock), its kind, and its first memory slice."""


class Outlook:
    """Scores on GPUs of one space. `value` is by state; `Durations.adjustments` belong into it."""

    def __init__(self, space: StateSpace, value: Sequence[float] | Mapping[int, float], durations: Durations) -> None:
        self._value = value
        self._durations = durations
        self._now = durations.coefficients.now
        self._horizon = durations.coefficients.horizon
        self._space = space
        self._gone: dict[tuple[int, int, int], int] = {}
        self._halves = {
            (window.start, window.size): None if half is None else (half.start, half.end)
            for window, half in halves_of(space.shape).items()
        }

    def ceiling(self, gain: float, lasts: float, last_end: float | None, *, now: float, scale: float) -> float:
        """What ranks GPUs before they are looked at: within a state, those first whose last slice ends near the new one's end.

        `gain` is the largest of the state's moves, `last_end` None where no end is known.
        """
        left = None if last_end is None else last_end - now
        return self._now * gain - self._durations.of_gpu(lasts, left, scale=scale)

    def later(self, lasts: float, *, scale: float) -> float:
        """What all gains of the states to come weigh together, beside the present one: less than 1."""
        return 1 - exp(-lasts / (self._horizon * scale))

    def score(
        self, lasts: float, *, before: int, after: int, window: Window, ends: Sequence[End], now: float, scale: float
    ) -> float:
        """How good it is that a slice that lasts `lasts` seconds goes to `window`.

        `before` and `after` are the GPU's states, `ends` its slices of known end, by end. One of unknown end is left out: it
        counts as one that stays, and nothing is aligned to it.
        """
        half = self._halves[window.start, window.size]
        penalty = self._durations.penalty(
            lasts,
            scale=scale,
            gpu=ends[-1][0] - now if ends else None,
            half=None if half is None else _last_in(half, ends, now),
        )
        value = self._value
        gain = self._now * (value[after] - value[before])
        move = before, after
        return gain + self._ahead(lasts, move, ends, now, scale) - penalty

    def _ahead(self, lasts: float, move: tuple[int, int], ends: Sequence[End], now: float, scale: float) -> float:
        """The gains in the states to come, weighted with e^(-t / horizon) / horizon over the time that each holds."""
        before, after = move
        value, rate = self._value, -1 / (self._horizon * scale)
        total, weight = 0.0, 1.0
        for end, kind, start in ends:
            left = end - now
            if left >= lasts:
                break
            if left > 0:
                later = exp(left * rate)
                total += (weight - later) * (value[after] - value[before])
                weight = later
            before, after = self._without(before, kind, start), self._without(after, kind, start)
        return total + (weight - exp(lasts * rate)) * (value[after] - value[before])

    def _without(self, state: int, kind: int, start: int) -> int:
        known = self._gone.get((state, kind, start))
        if known is None:
            known = self._gone[state, kind, start] = self._space.without(state, self._space.placed[kind][start])
        return known


def _last_in(half: tuple[int, int], ends: Sequence[End], now: float) -> float | None:
    first, behind = half
    for end, _, start in reversed(ends):
        if first <= start < behind:
            return end - now
    return None
