"""The GPUs of equal nodes and equal space, kept so that the best place for a slice is a look-up, with 10 GPUs or 40,000.

GPUs lie in buckets by state, in a bucket on shelves by what is warm on them. For each profile that was asked for, a lane says by
one bit a move which rungs of the ladder have a GPU: the lowest bit is the best move there is. A second row of bits says so of
warm slices. The stock knows GPUs and moves; which nodes a Pod may go to, and which stock comes first, others know.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from allocator.placement.states import StateSpace
from allocator.placement.table import Ladder, Table
from allocator.placement.warmth import warmth_of

_KNOWN_AT_MOST: Final = 1 << 16
"""Drops that are remembered, some 150 bytes each; a fleet of 40,000 GPUs meets a few thousand under one mix."""

Key = tuple[float, str, int]
"""Which of equal GPUs goes first: the one on the node with most left (so its negative), then by node and index."""

End = tuple[float, int, int]
"""When a slice is expected to end (epoch seconds), its kind and start."""


class Card:
    """One GPU: its node, state, warm slices (bits of its `Warmth`), known ends, and the starts at which nothing is made now."""

    __slots__ = ("avoid", "ends", "key", "state", "stock", "uuid", "warm")

    def __init__(
        self,
        uuid: str,
        key: Key,
        *,
        state: int,
        warm: int = 0,
        ends: tuple[End, ...] = (),
        avoid: frozenset[int] = frozenset(),
    ) -> None:
        self.uuid = uuid
        self.key = key
        self.state = state
        self.warm = warm
        self.ends = ends
        self.avoid = avoid
        self.stock: Stock | None = None

    @property
    def node(self) -> str:
        """The name of its node."""
        return self.key[1]


class Option(NamedTuple):
    """A place for one slice, in the order in which equal places are taken: fewest warm slices lost, the GPU's key, the start."""

    cost: int
    """What its drops are likely to be asked for, in billionths."""
    key: Key
    start: int
    after: int
    reuse: bool
    drops: int
    """Warm slices that must go, as bits."""
    card: Card


Shelf = list[tuple[Key, Card]]
"""GPUs of equal state and equal warm slices, by key."""


class Stock:
    """The GPUs and their order under one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.space: StateSpace = table.space
        self.warmth = warmth_of(table.space)
        self.buckets: dict[int, dict[int, Shelf]] = {}
        self._lanes: dict[int, Lane] = {}
        self._drops: dict[tuple[int, int], tuple[int, int]] = {}
        self._ends: dict[int, Ends] | None = None

    def __len__(self) -> int:
        return sum(len(shelf) for bucket in self.buckets.values() for shelf in bucket.values())

    def follow(self, table: Table) -> None:
        """Order by another table of the same space from now on."""
        self.table = table
        asked = list(self._lanes)
        self._lanes.clear()
        self._drops.clear()
        for kind in asked:
            self.lane(kind)

    def add(self, card: Card) -> None:
        """Take a GPU in, as it is."""
        bucket = self.buckets.get(card.state)
        if bucket is None:
            bucket = self.buckets[card.state] = {}
            for lane in self._lanes.values():
                lane.open(card.state)
        shelf = bucket.get(card.warm)
        if shelf is None:
            bucket[card.warm] = [(card.key, card)]
            if card.warm:
                self._note(card.state, card.warm, 1)
        else:
            insort(shelf, (card.key, card))
        card.stock = self
        if self._ends is not None:
            self._ends.setdefault(card.state, Ends()).add(card)

    def rekey(self, card: Card, key: Key) -> None:
        """Let a GPU have another rank among its equals: its node has more room left, or less."""
        shelf = self.buckets[card.state][card.warm]
        if self._ends is not None or len(shelf) > 1:
            self.remove(card)
            card.key = key
            self.add(card)
        else:
            card.key = key
            shelf[0] = key, card

    def remove(self, card: Card) -> None:
        """Take a GPU out; it must be as it was when it came in."""
        bucket = self.buckets[card.state]
        shelf = bucket[card.warm]
        if len(shelf) > 1:
            del shelf[bisect_left(shelf, (card.key,))]
        else:
            del bucket[card.warm]
            if card.warm:
                self._note(card.state, card.warm, -1)
            if not bucket:
                del self.buckets[card.state]
                for lane in self._lanes.values():
                    lane.close(card.state)
        card.stock = None
        if self._ends is not None:
            self._ends[card.state].remove(card)

    @contextmanager
    def aside(self, card: Card) -> Iterator[None]:
        """As if a GPU of this stock were not there."""
        self.remove(card)
        try:
            yield
        finally:
            self.add(card)

    def by_end(self, state: int) -> "Ends":
        """The GPUs of a state by the end of their last slice; kept from the first question on."""
        if self._ends is None:
            self._ends = {}
            for bucket in self.buckets.values():
                for shelf in bucket.values():
                    for _, card in shelf:
                        self._ends.setdefault(card.state, Ends()).add(card)
        return self._ends.get(state) or Ends()

    def _note(self, state: int, warm: int, by: int) -> None:
        for kind, start in self.warmth.slices(warm):
            lane = self._lanes.get(kind)
            if lane is not None:
                lane.note(state, start, by)

    def lane(self, kind: int) -> "Lane":
        """The lane of a profile, made when first asked for."""
        known = self._lanes.get(kind)
        if known is None:
            known = self._lanes[kind] = Lane(self.table.ladder(kind))
            for state, bucket in self.buckets.items():
                known.open(state)
                for warm in bucket:
                    for held, start in self.warmth.slices(warm):
                        if held == kind:
                            known.note(state, start, 1)
        return known

    def rows(self, kind: int, rank: int, *, reuse: bool) -> Iterator[Iterator[Option]]:
        """The GPUs at one rung, shelf by shelf, those of a shelf in their order: of one state, one cost and one set of drops."""
        state, _, start, after = self.table.ladder(kind).move(rank)
        bit = self.warmth.bit(kind, start)
        for warm, shelf in self.buckets[state].items():
            # What lies there warm is reused and never made anew.
            if bool(warm & bit) is reuse:
                cost, drops = self.drops(after, warm) if warm and not reuse else (0, 0)
                yield _row(shelf, cost=cost, start=start, after=after, reuse=reuse, drops=drops)

    def drops(self, after: int, warm: int) -> tuple[int, int]:
        """What must go of a GPU's warm slices once it comes into the state `after`; see `Warmth.drops`."""
        known = self._drops.get((after, warm))
        if known is None:
            if len(self._drops) >= _KNOWN_AT_MOST:
                self._drops.clear()
            known = self._drops[after, warm] = self.warmth.drops(after, warm, self.table.shares)
        return known

    def leave(self, card: Card, kind: int, start: int, *, warm: bool) -> float | None:
        """A slice on a GPU of this stock is nobody's any more, and `warm` from now on or gone; when it was expected to end."""
        end = next((it[0] for it in card.ends if it[1:] == (kind, start)), None)
        self.remove(card)
        card.state = self.space.without(card.state, self.space.placed[kind][start])
        card.warm |= self.warmth.bit(kind, start) if warm else 0
        if end is not None:
            card.ends = tuple(it for it in card.ends if it[1:] != (kind, start))
        self.add(card)
        return end

    def settle(self, card: Card, kind: int, option: Option, *, end: float | None = None) -> None:
        """Put a slice at its place on a GPU of this stock."""
        self.remove(card)
        card.state = option.after
        card.warm &= ~(option.drops | self.warmth.bit(kind, option.start))
        if end is not None:
            card.ends = tuple(sorted((*card.ends, (end, kind, option.start))))
        self.add(card)


def _row(shelf: Shelf, *, cost: int, start: int, after: int, reuse: bool, drops: int) -> Iterator[Option]:
    for key, card in shelf:
        if reuse or start not in card.avoid:
            yield Option(cost, key, start, after, reuse, drops, card)


class Ends:
    """The GPUs of one state by when their last slice ends, and those of which that is not known."""

    __slots__ = ("known", "unknown")

    def __init__(self) -> None:
        self.known: list[tuple[float, Key, Card]] = []
        self.unknown: Shelf = []

    def add(self, card: Card) -> None:
        """One more."""
        if card.ends:
            insort(self.known, (card.ends[-1][0], card.key, card))
        else:
            insort(self.unknown, (card.key, card))

    def remove(self, card: Card) -> None:
        """One less, as it was when it was added."""
        if card.ends:
            del self.known[bisect_left(self.known, (card.ends[-1][0], card.key))]
        else:
            del self.unknown[bisect_left(self.unknown, (card.key,))]


class Lane:
    """Which rungs of one profile's ladder have a GPU, a bit each: for a new slice, and with a warm one to reuse."""

    __slots__ = ("_held", "ladder", "new", "reuse")

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.new = 0
        self.reuse = 0
        self._held: dict[int, int] = {}

    def open(self, state: int) -> None:
        """There is a GPU in this state now."""
        self.new |= self.ladder.bits(state)

    def close(self, state: int) -> None:
        """There is none any more."""
        self.new &= ~self.ladder.bits(state)

    def note(self, state: int, start: int, by: int) -> None:
        """One shelf more, or less, of this state has a warm slice there."""
        rank = self.ladder.rank(state, start)
        if rank is None:
            return
        count = self._held.get(rank, 0) + by
        if count:
            self._held[rank] = count
            self.reuse |= 1 << rank
        else:
            del self._held[rank]
            self.reuse &= ~(1 << rank)
