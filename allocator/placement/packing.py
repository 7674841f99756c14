"""Several slices of one Pod on one node, exactly.

Values telescope: what a set of slices gains on a GPU is the value of its last state less that of its first, so the best filling of
one GPU with any part of the demand is worked out once a state and kept. A node then is a knapsack of its GPUs: parts of the demand
are spread over them, and the best spread is found by dynamic programming. Nodes are taken in order of a bound, the number of slices
times the best that one of them can gain there, so most nodes of a large fleet are never packed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Final, NamedTuple

from allocator.placement.stock import Card, Stock
from mig.profiles import Profile

Part = tuple[int, ...]
"""How many slices of each wanted profile."""

MOST_PARTS: Final = 4096
"""Parts of one demand, Π (count + 1), that are packed exactly: 12 slices of different profiles, or 15 of each of three."""


class Step(NamedTuple):
    """One slice on one GPU; `profile` is an index into the demand's profiles."""

    profile: int
    kind: int
    start: int
    after: int
    reuse: bool
    drops: int


class Filling(NamedTuple):
    """A part of the demand on one GPU, or spread over some. Larger is better."""

    score: int = 0
    """What the value gains, with margins: in billionths, of a unit of the table where there are several spaces."""
    used: int = 0
    """Memory slices in use before each step, summed."""
    cost: int = 0
    """The demand for the warm slices that are lost, negative."""
    steps: tuple[tuple[int, Step], ...] = ()
    """With the index of the GPU on its node; not compared."""

    def plus(self, other: "Filling") -> "Filling":
        """Both."""
        score, used, cost = self.score + other.score, self.used + other.used, self.cost + other.cost
        return Filling(score, used, cost, self.steps + other.steps)

    def beats(self, other: "Filling | None") -> bool:
        """Whether it is to be taken instead of one that was found before."""
        return other is None or self[:3] > other[:3]


_Likeness = tuple[int, int, int, frozenset[int]]
"""Equal for GPUs between which packing cannot tell: stock, state, warm slices, starts to avoid."""


class Packer:
    """The packings of one demand, while tables and stocks stay as they are; `scales` as of `choosing.scales_of`."""

    def __init__(self, profiles: Sequence[Profile], *, scales: Mapping[int, float]) -> None:
        self.profiles = tuple(sorted(set(profiles), reverse=True))
        self.counts: Part = tuple(profiles.count(profile) for profile in self.profiles)
        # Whole numbers: the same slices have the same score, in whatever order they are added up.
        self._scales = scales if len(scales) == 1 else {space: scale * 1e9 for space, scale in scales.items()}
        self._fillings: dict[tuple[_Likeness, Part], Filling | None] = {}
        self._reach: dict[_Likeness, float | None] = {}
        self._packings: dict[tuple[_Likeness, ...], Filling | None] = {}
        self._parts = tuple(part for part in product(*(range(count + 1) for count in self.counts)) if any(part))

    @classmethod
    def can(cls, profiles: Sequence[Profile]) -> bool:
        """Whether a demand is small enough."""
        return prod(profiles.count(profile) + 1 for profile in set(profiles)) <= MOST_PARTS

    def best(self, nodes: Iterable[Sequence[Card]]) -> tuple[Sequence[Card], Filling] | None:
        """The best packing on one of these nodes, each given by the GPUs of it that may be used; of equal ones the first by key."""
        bounds = ((self._bound(cards), cards) for cards in nodes)
        ordered = sorted((-bound, cards[0].key, cards) for bound, cards in bounds if bound is not None)
        best: tuple[Sequence[Card], Filling] | None = None
        for bound, _, cards in ordered:
            if best is not None and -bound < best[1].score:
                break
            found = self.pack(cards)
            if found is None:
                continue
            if best is None or (found[:3], best[0][0].key) > (best[1][:3], cards[0].key):
                best = cards, found
        return best

    def pack(self, cards: Sequence[Card]) -> Filling | None:
        """The best packing of the whole demand on these GPUs, or None where it does not fit."""
        likenesses = tuple(map(_likeness, cards))
        if likenesses not in self._packings:
            self._packings[likenesses] = self._pack(cards, likenesses)
        return self._packings[likenesses]

    def _pack(self, cards: Sequence[Card], likenesses: Sequence[_Likeness]) -> Filling | None:
        best: dict[Part, Filling] = {(0,) * len(self.counts): Filling()}
        for index, card in enumerate(cards):
            if likenesses[:index].count(likenesses[index]) >= sum(self.counts):
                continue
            fillings = [(part, found) for part in self._parts if (found := self._fill(card, part)) is not None]
            grown = dict(best)
            for have, so_far in best.items():
                for part, filling in fillings:
                    both = tuple(map(int.__add__, have, part))
                    if all(map(int.__le__, both, self.counts)):
                        here = filling._replace(steps=tuple((index, step) for _, step in filling.steps))
                        total = so_far.plus(here)
                        if total.beats(grown.get(both)):
                            grown[both] = total
            best = grown
        return best.get(self.counts)

    def _bound(self, cards: Sequence[Card]) -> float | None:
        """Above what any packing there scores; None where not even one slice fits."""
        reaches = [reach for card in cards if (reach := self._reach_of(card)) is not None]
        return max(reaches) * sum(self.counts) + _SLACK if reaches else None

    def _reach_of(self, card: Card) -> float | None:
        """The best score a slice that any part of the demand has on this GPU."""
        likeness = _likeness(card)
        if likeness not in self._reach:
            found = ((self._fill(card, part), sum(part)) for part in self._parts)
            self._reach[likeness] = max((it.score / count for it, count in found if it is not None), default=None)
        return self._reach[likeness]

    def _fill(self, card: Card, part: Part) -> Filling | None:
        assert card.stock is not None
        return self._fill_from(card.stock, card.state, card.warm, card.avoid, part)

    def _fill_from(self, stock: Stock, state: int, warm: int, avoid: frozenset[int], part: Part) -> Filling | None:
        if not any(part):
            return Filling()
        key = (id(stock), state, warm, avoid), part
        if key not in self._fillings:
            self._fillings[key] = self._search(stock, state, warm, avoid, part)
        return self._fillings[key]

    def _search(self, stock: Stock, state: int, warm: int, avoid: frozenset[int], part: Part) -> Filling | None:
        best: Filling | None = None
        for step, score in self._steps(stock, state, warm, avoid, part):
            gone = step.drops | stock.warmth.bit(step.kind, step.start)
            left = (*part[: step.profile], part[step.profile] - 1, *part[step.profile + 1 :])
            rest = self._fill_from(stock, step.after, warm & ~gone, avoid, left)
            if rest is None:
                continue
            used = stock.space.shape.width - stock.space.free[state]
            cost = -stock.drops(step.after, warm)[0] if step.drops else 0
            found = Filling(score, used, cost, ((0, step),)).plus(rest)
            if found.beats(best):
                best = found
        return best

    def _steps(
        self, stock: Stock, state: int, warm: int, avoid: frozenset[int], part: Part
    ) -> Iterator[tuple[Step, int]]:
        """Every place for the next slice of a part, with its gain."""
        profile = next(index for index, count in enumerate(part) if count)
        kind = stock.space.kinds.get(self.profiles[profile])
        if kind is None:
            return
        value, scale = stock.table.billionths, self._scales[id(stock.space)]
        for start, after in stock.space.places(state, kind):
            reuse = bool(warm & stock.warmth.bit(kind, start))
            if not reuse and start in avoid:
                continue
            drops = 0 if reuse else stock.drops(after, warm)[1]
            margin = round(stock.table.margin * scale) if reuse else 0
            gain = round(value[after] * scale) - round(value[state] * scale) + margin
            yield Step(profile, kind, start, after, reuse, drops), gain


_SLACK: Final = 1
"""The bound is a quotient, rounded, of whole numbers; it may not fall below what it bounds."""


def _likeness(card: Card) -> _Likeness:
    return id(card.stock), card.state, card.warm, card.avoid
