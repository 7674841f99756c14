"""What one GPU can do for a migration plan: give slices away, take others in, and what its value gains by that.

GPUs that cannot be told apart are one group, so the work grows with the kinds of GPUs and not with their number. Only what lies on
a GPU and may lie there is known here; who trades with whom is the planner's part. Everything that was worked out is kept as long
as the values stay the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple, Protocol

from allocator.placement.states import StateSpace
from mig.profiles import Profile

_KNOWN_AT_MOST: Final = 1 << 17
"""Exchanges that are kept, some 200 bytes each. 100 GPUs meet some ten thousand under one table."""

Slot = tuple[int, int]
"""A slice on a GPU: the index of its offer in the space, and its start."""


class Values(Protocol):
    """How good states are: a `Table`. Equal GPUs share one object; it is compared by identity and must not change."""

    @property
    def space(self) -> StateSpace:
        """The states that it values."""

    def value(self, state: int) -> float:
        """Larger is better."""


@dataclass(frozen=True, slots=True)
class Group:
    """`count` GPUs between which a plan cannot tell. `movable`: those of their slices that may be moved, ascending.

    A slice that is not movable stays where it is; one of a profile that the driver no longer offers has no slot and always stays.
    With `takes` off the new slice does not go there (its Pod does not fit the node, say); moved ones may.
    """

    values: Values
    state: int
    count: int = 1
    movable: tuple[Slot, ...] = ()
    takes: bool = True

    def profiles(self) -> frozenset[Profile]:
        """Those of the movable slices."""
        offers = self.values.space.shape.offers
        return frozenset(offers[kind].profile for kind, _ in self.movable)


class Exchange(NamedTuple):
    """What one GPU gives and takes at once: the gain of its value, the slots given, the starts taken, and its state behind it."""

    gain: float
    gives: tuple[Slot, ...]
    starts: tuple[int, ...]
    after: int


class Desk:
    """The exchanges of all GPUs under one table of values."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._space = values.space
        self._fills: dict[tuple[int, tuple[int, ...]], tuple[float, tuple[int, ...], int] | None] = {}
        self._holdings: dict[tuple[int, tuple[Slot, ...]], int] = {}
        self._exchanges: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Exchange | None] = {}

    def holding(self, state: int, movable: tuple[Slot, ...] = ()) -> int:
        """A number for GPUs in a state with these movable slices."""
        return self._holdings.setdefault((state, movable), len(self._holdings))

    def trim(self) -> None:
        """Forget everything where too much is known; between searches only, for numbers of holdings change."""
        if len(self._exchanges) > _KNOWN_AT_MOST:
            self._fills.clear()
            self._holdings.clear()
            self._exchanges.clear()

    def best(self, group: Group, holding: int, gives: tuple[int, ...], takes: tuple[int, ...]) -> Exchange | None:
        """The exchange of the largest gain for a GPU of the group, or None where there is none.

        `holding` is the group's number; without `gives`, that of its state alone will do. `gives` are kinds of movable slices,
        ascending; all leave before any of `takes` comes, in whatever windows are best.
        """
        key = (holding, gives, takes)
        if key not in self._exchanges:
            self._exchanges[key] = max(
                self._each(group.state, group.movable, gives, takes), key=lambda found: found.gain, default=None
            )
        return self._exchanges[key]

    def left(self, state: int, slots: tuple[Slot, ...]) -> int:
        """The state of a GPU once these slices are gone."""
        for kind, start in slots:
            state = self._space.without(state, self._space.placed[kind][start])
        return state

    def _each(
        self, state: int, movable: tuple[Slot, ...], gives: tuple[int, ...], takes: tuple[int, ...]
    ) -> Iterator[Exchange]:
        before = self._values.value(state)
        for slots in combinations(movable, len(gives)):
            if tuple(kind for kind, _ in slots) == gives:
                filled = self._fill(self.left(state, slots), takes)
                if filled is not None:
                    value, starts, after = filled
                    yield Exchange(round(value - before, 9), slots, starts, after)

    def _fill(self, state: int, kinds: tuple[int, ...]) -> tuple[float, tuple[int, ...], int] | None:
        """The best value that a GPU can have once slices of these kinds are put there: with their starts, and the state."""
        if not kinds:
            return self._values.value(state), (), state
        key = (state, kinds)
        if key not in self._fills:
            best: tuple[float, tuple[int, ...], int] | None = None
            for start, after in self._space.places(state, kinds[0]):
                rest = self._fill(after, kinds[1:])
                if rest is not None and (best is None or rest[0] > best[0]):
                    best = rest[0], (start, *rest[1]), rest[2]
            self._fills[key] = best
        return self._fills[key]
