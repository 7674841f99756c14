"""Which place comes first, over all stocks that a Pod may use.

Larger gain first, a warm slice with its margin; then the fuller GPU; among places that are equal in both, the one that loses the
warm slices least likely to be wanted, then the node with most CPU and memory left, then by name. This is a total order: equal
input gives equal output, in whatever order GPUs came in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Final, NamedTuple

from allocator.placement.stock import Card, Option, Stock
from allocator.placement.table import Ladder
from mig.profiles import Profile

Fits = Callable[[str], bool]
"""Whether a node, by name, takes the Pod."""


_PASSED_AT_MOST: Final = 256
"""Places on nodes that do not take the Pod that are passed over, about a millisecond's work."""


class Rung(NamedTuple):
    """A move with GPUs that can make it. Smaller is better; what comes after `used` only tells rungs apart."""

    score: float
    """The gain and its margin, negative: in billionths, or in units of the table where several spaces are compared."""
    used: int
    """Used memory slices, negative."""
    lane: int
    rank: int
    reuse: bool


class Ranked(NamedTuple):
    """A place. Smaller is better among places of equal score and use."""

    option: Option
    stock: Stock
    kind: int
    rank: int

    @property
    def gain(self) -> float:
        """What the policy's value gains there, the margin of a warm slice left out."""
        return self.stock.table.ladder(self.kind).gain(self.rank) / 1e9


def scales_of(stocks: Iterable[Stock]) -> Mapping[int, float]:
    """By `id` of a space: what its gains are multiplied by, so that gains of different tables compare. One table needs none."""
    tables = {id(stock.space): stock.table for stock in stocks}
    return dict.fromkeys(tables, 1) if len(tables) == 1 else {space: 1 / table.unit for space, table in tables.items()}


@dataclass(frozen=True, slots=True)
class Lanes:
    """What one profile may choose from: stocks that offer it, each with the index of its offer."""

    stocks: Sequence[tuple[Stock, int]]

    @classmethod
    def of(cls, stocks: Iterable[Stock], profile: Profile) -> "Lanes":
        """Those of some stocks."""
        kinds = ((stock, stock.space.kinds.get(profile)) for stock in stocks)
        return cls([(stock, kind) for stock, kind in kinds if kind is not None])

    def first(self, fits: Fits | None = None, *, cards: Callable[[], Iterable[Card]] | None = None) -> Ranked | None:
        """The best place on nodes that take the Pod; None for `fits` is all nodes.

        `cards` gives the GPUs of those nodes. It is asked where so many of the best places were on others that it is less work to
        look at each of these GPUs.
        """
        if len(self.stocks) == 1:
            best = _top(*self.stocks[0])
            if best is not None and (fits is None or fits(best.option.card.node)):
                return best
        for passed, place in enumerate(self.ranked()):
            if fits is None or fits(place.option.card.node):
                return place
            if cards is not None and passed >= _PASSED_AT_MOST:
                return self._first_on(cards())
        return None

    def ranked(self, fits: Fits | None = None) -> Iterator[Ranked]:
        """Every place, best first."""
        for _, rungs in groupby(self._rungs(), key=_standing):
            rows = [row for rung in rungs for row in self._rows(rung)]
            for place in rows[0] if len(rows) == 1 else merge(*rows):
                if fits is None or fits(place.option.card.node):
                    yield place

    def _rows(self, rung: Rung) -> Iterator[Iterator[Ranked]]:
        stock, kind = self.stocks[rung.lane]
        for row in stock.rows(kind, rung.rank, reuse=rung.reuse):
            yield (Ranked(option, stock, kind, rung.rank) for option in row)

    def _first_on(self, cards: Iterable[Card]) -> Ranked | None:
        """The best place on some GPUs, by a look at each place."""
        scales, kinds = scales_of(stock for stock, _ in self.stocks), dict(self.stocks)
        best: tuple[float, int, Ranked] | None = None
        for card in cards:
            if card.stock is None or card.stock not in kinds:
                continue
            scale, margin = scales[id(card.stock.space)], card.stock.table.margin
            for place in places_on(card, card.stock, kinds[card.stock]):
                gain, used = card.stock.table.ladder(place.kind).standing(place.rank)
                found = -(gain + margin * place.option.reuse) * scale, -used, place
                if best is None or found < best:
                    best = found
        return None if best is None else best[2]

    def _rungs(self) -> Iterator[Rung]:
        scales = scales_of(stock for stock, _ in self.stocks)
        rows = []
        for lane, (stock, kind) in enumerate(self.stocks):
            bits = stock.lane(kind)
            scale = scales[id(stock.space)]
            rows.append(_row(bits.new, bits.ladder, scale=scale, margin=0, lane=lane, reuse=False))
            if bits.reuse:
                rows.append(
                    _row(bits.reuse, bits.ladder, scale=scale, margin=stock.table.margin, lane=lane, reuse=True)
                )
        return rows[0] if len(rows) == 1 else merge(*rows)


def places_on(card: Card, stock: Stock, kind: int) -> Iterator[Ranked]:
    """Every place on one GPU of a stock, by start."""
    ladder = stock.table.ladder(kind)
    for start, after in stock.space.places(card.state, kind):
        reuse = bool(card.warm & stock.warmth.bit(kind, start))
        rank = ladder.rank(card.state, start)
        if rank is not None and (reuse or start not in card.avoid):
            cost, drops = (0, 0) if reuse else stock.drops(after, card.warm)
            yield Ranked(Option(cost, card.key, start, after, reuse, drops, card), stock, kind, rank)


def _top(stock: Stock, kind: int) -> Ranked | None:
    """The first place of one stock by a shorter way; None where it takes the long one, or there is none."""
    lane = stock.lane(kind)
    if not lane.new:
        return None
    ladder, rank, reuse = lane.ladder, _lowest(lane.new), False
    if lane.reuse:
        warm = _lowest(lane.reuse)
        (gain, used), (warm_gain, warm_used) = ladder.standing(rank), ladder.standing(warm)
        if (warm_gain + stock.table.margin, warm_used) == (gain, used):
            return None
        if (warm_gain + stock.table.margin, warm_used) > (gain, used):
            rank, reuse = warm, True
    bits = (lane.reuse if reuse else lane.new) & ladder.equals(rank)
    best: Option | None = None
    while bits:
        here = _lowest(bits)
        bits &= bits - 1
        for row in stock.rows(kind, here, reuse=reuse):
            option = next(row, None)
            if option is not None and (best is None or option < best):
                best, rank = option, here
    return None if best is None else Ranked(best, stock, kind, rank)


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _standing(rung: Rung) -> tuple[float, int]:
    return rung[:2]


def _row(bits: int, ladder: Ladder, *, scale: float, margin: int, lane: int, reuse: bool) -> Iterator[Rung]:
    """The rungs of one row of bits, best first."""
    while bits:
        lowest = bits & -bits
        rank = lowest.bit_length() - 1
        yield Rung(-(ladder.gain(rank) + margin) * scale, -ladder.move(rank)[1], lane, rank, reuse)
        bits ^= lowest
