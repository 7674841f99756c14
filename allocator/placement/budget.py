"""When a planned migration is worth its moves: no more than one in so many arrivals, spent on the refused Pods that gain most.

Moves are saved up to a bound, so that no burst is longer than it. A plan is accepted if it is worth more than plans usually are;
the fewer moves are saved, the more it has to be above them. What is usual is learned from the plans that come, so the rule has no
number that belongs to a demand mix; values are taken to be of the order of memory slices, as those of all policies here are.
Nothing is carried out here, and no clock is read: arrivals are counted.
"""

from typing import Final

from allocator.placement.migration import Plan

SAVED: Final = 20
"""Moves that can be saved up. With one move in 50 arrivals and most Pods large, 10 come 3 % less far to free migration than 20; 40
and 60 come no further. What is quoted here and below is from an own study of 100 GPUs at load 1.0, four mixes, 40 to 80 seeds."""

_STEP: Final = 0.2
"""By how many usual deviations a plan must be worth more for each move that is missing to half of `SAVED`. From 0.05 to 0.4 the
result is the same within 2 % of the way to free migration; at one move in 20 arrivals less leaves moves unspent."""

_MEMORY: Final = 0.01
"""What the newest plan weighs against those before. 0.003 and 0.03 give the same."""

_FREE: Final = 160.0
"""For the share of the fleet's memory that is free: where much is free, the new slice is less in the way of later ones. A plan for
the largest profile brings 1.7 memory slices on the fullest quarter of fleets and 3.2 on the emptiest."""

_LASTS: Final = 12.0
"""Taken off per mean lifetime of the new slice beyond the first: a slice that is soon gone brings what it takes (8 memory slices of
8 for lifetimes below 0.3), one that stays for more than 1.4 keeps out more than that. From 12 on it makes no difference."""

_MOVE: Final = 8.0
"""Taken off per move. From 0 to 10 it makes no difference that 40 seeds show; plans of two moves are seldom worth two of one."""

_LONGEST: Final = 4.0
"""Mean lifetimes beyond which a slice counts no worse, so that one declared for ever does not spoil what is usual."""


def worth(plan: Plan, *, size: int, free: float, lasts: float = 1.0) -> float:
    """What a plan brings, in the unit of the values and up to a constant: only differences between plans mean something.

    `size`: memory slices of the new slice. `free`: share of the fleet's memory slices that nobody holds, 0 to 1. `lasts`: how long
    the new slice stays, in mean lifetimes; leave it out where that was not declared.
    """
    short = 1.0 - min(lasts, _LONGEST)
    return plan.gain + size + _FREE * free + _LASTS * short - _MOVE * len(plan.moves)


class Budget:
    """Moves in hand, and what plans are usually worth. A call costs about a microsecond."""

    def __init__(self, every: int, *, saved: int = SAVED) -> None:
        """One move in `every` arrivals, at most `saved` of them at once."""
        if every < 1 or saved < 1:
            raise ValueError(f"a budget is one move in 1 or more arrivals, 1 or more saved; not {every=}, {saved=}")
        self._every = every
        self._most = saved * every
        self._credit = 0  # in arrivals, so that counting is exact
        self._seen = 0
        self._usual = 0.0
        self._deviation = 0.0

    @property
    def moves(self) -> int:
        """How many could be made now: look for no plan with more."""
        return self._credit // self._every

    def arrived(self) -> None:
        """One more Pod has come, whether it was placed or not."""
        self._credit = min(self._most, self._credit + 1)

    def spend(self, worth: float, *, moves: int) -> bool:
        """Whether a plan of that `worth` is to be carried out; if so, its `moves` are spent."""
        above = worth - self._usual if self._seen else 0.0
        wanted = _STEP * (self._most / 2 - self._credit) / self._every
        full = self._credit == self._most
        accepted = moves <= self.moves and (full or above >= wanted * self._deviation)
        self._learn(worth)
        if accepted:
            self._credit -= moves * self._every
        return accepted

    def _learn(self, worth: float) -> None:
        self._seen += 1
        weight = max(_MEMORY, 1 / self._seen)
        self._usual += weight * (worth - self._usual)
        self._deviation += weight * (abs(worth - self._usual) - self._deviation)
