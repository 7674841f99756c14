"""The best place for a slice whose lifetime is declared: it looks at GPUs one by one, at few of them, and those the most promising.

When a GPU's slices end is no part of its state, so no table holds it. But the penalty for ends that differ is smallest where the
last slice of the GPU ends when the new one does: so the GPUs of one state come in an order, outwards from that moment, and a state
whose best gain cannot reach what was found already is never opened. `outlook` says what one place is worth.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, merge
from typing import Final, NamedTuple

from allocator.placement.choosing import Fits, Lanes, Ranked, places_on, scales_of
from allocator.placement.durations import Adjustments, Durations, Scale
from allocator.placement.mix import Mix
from allocator.placement.outlook import LOOKS, Outlook
from allocator.placement.policy import Policy, Terms
from allocator.placement.states import StateSpace
from allocator.placement.stock import Card, Key, Stock
from allocator.placement.table import Table
from allocator.placement.tables import Tables

_BILLION: Final = 1e9

_Head = tuple[float, Key, Card]
"""A ceiling, and the GPU that it is of."""

_Entry = tuple[float, Key, Card | None, Iterator[_Head] | None]
"""A GPU at the head of its row; or, without either, a state that is not open yet, its number in the key."""


@dataclass(frozen=True)
class Adjusted:
    """A policy for slices of declared lifetime: another one, with what it takes for signs of lifetimes put right."""

    policy: Policy
    adjustments: Adjustments

    def terms(self, space: StateSpace, state: int) -> Terms:
        """The addend is the same under every mix."""
        constant, *by_kind = self.policy.terms(space, state)
        return constant + self.adjustments.of(space, state), *by_kind

    def warm_margin(self, space: StateSpace) -> float:
        """The same unit, so the same margin."""
        return self.policy.warm_margin(space)


class _Asked(NamedTuple):
    """The slice that is to be placed; `lasts` and `scale` in seconds, `now` on the clock of the ends."""

    lasts: float
    now: float
    scale: float


class Foresight:
    """One engine's; it follows the same mix."""

    def __init__(self, policy: Policy, durations: Durations, mix: Mix, *, looks: int = LOOKS) -> None:
        self._durations = durations
        self._looks = looks
        self._tables = Tables(Adjusted(policy, durations.coefficients.value), mix)
        self._outlooks: dict[int, tuple[Table, Outlook]] = {}

    def follow(self, mix: Mix) -> None:
        """Weigh states by a newer mix."""
        if self._tables.follow(mix):
            self._outlooks.clear()

    def first(self, lanes: Lanes, *, lasts: float, now: float, scale: Scale, fits: Fits | None = None) -> Ranked | None:
        """The best place on the most promising GPUs of nodes that take the Pod; None only where there is no place at all.

        `now` is on the clock of the GPUs' ends: epoch seconds, or virtual ones.
        """
        sights = self.sights(lanes, lasts=lasts, now=now, scale=scale)
        hope = max((sight.hope for sight in sights), default=0.0)
        best: tuple[float, Ranked] | None = None
        looks = 0
        for ceiling, _, card, sight in merge(*(sight.promising() for sight in sights)):
            if best is not None and (looks >= self._looks or ceiling - hope > best[0]):
                break
            if fits is not None and not fits(card.node):
                continue
            looks += 1
            best = min(sight.look(card), default=best) if best is None else min(best, *sight.look(card))
        return None if best is None else best[1]

    def sights(self, lanes: Lanes, *, lasts: float, now: float, scale: Scale) -> Sequence["Sight"]:
        """What each of the stocks has for the slice."""
        asked = _Asked(lasts, now, scale.seconds or lasts)
        scales = scales_of(stock for stock, _ in lanes.stocks)
        return [self._sight(stock, kind, asked, scales[id(stock.space)]) for stock, kind in lanes.stocks]

    def _sight(self, stock: Stock, kind: int, asked: _Asked, unit: float) -> "Sight":
        table = self._tables.of(stock.space)
        known = self._outlooks.get(id(stock.space))
        if known is None or known[0] is not table:
            known = self._outlooks[id(stock.space)] = table, Outlook(stock.space, _Values(table), self._durations)
        return Sight(
            stock, kind, asked, table=table, outlook=known[1], weight=self._durations.coefficients.now, unit=unit
        )


class _Values(dict[int, float]):
    """By state. As slices end beside one that no driver offers, a GPU may come into states that no table was made for."""

    def __init__(self, table: Table) -> None:
        super().__init__((state, table.value(state)) for state in range(table.size))
        self._table = table

    def __missing__(self, state: int) -> float:
        value = self[state] = self._table.value(state)
        return value


class Sight:
    """What one stock has for the slice. Scores and ceilings are negative, the smallest is the best, and in a common unit."""

    def __init__(
        self, stock: Stock, kind: int, asked: _Asked, *, table: Table, outlook: Outlook, weight: float, unit: float
    ) -> None:
        self._stock = stock
        self._kind = kind
        self._asked = asked
        self._ladder = table.ladder(kind)
        self._outlook = outlook
        self._weight = weight
        self._margin = weight * table.margin / _BILLION
        self._unit = unit * _BILLION  # scales are of billionths, scores are not

    @property
    def hope(self) -> float:
        """By how much a score may pass its ceiling: the ceiling does not count what the slice gains in the states to come."""
        most = self._ladder.gain(0) / _BILLION if len(self._ladder) else 0.0
        return max(0.0, most) * self._outlook.later(self._asked.lasts, scale=self._asked.scale) * self._unit

    def promising(self) -> Iterator[tuple[float, Key, Card, "Sight"]]:
        """The GPUs on which the slice has a place, the highest ceiling first; a state is opened when it is its turn."""
        heap: list[_Entry] = []
        for state in self._stock.buckets:
            gain = self._ladder.best(state)
            if gain is not None:
                most = self._weight * gain / _BILLION + self._margin
                heap.append((-most * self._unit, (-1.0, "", state), None, None))
        heapify(heap)
        while heap:
            ceiling, key, card, row = heappop(heap)
            if card is None or row is None:
                for fresh in self._rows(key[2]):
                    _push(heap, fresh)
            else:
                yield ceiling, key, card, self
                _push(heap, row)

    def _rows(self, state: int) -> Iterator[Iterator[_Head]]:
        """The GPUs of a state in three rows: whose last slice ends before the new one, whose after it, of which nobody knows."""
        gain = self._ladder.best(state)
        if gain is None:
            return
        ends = self._stock.by_end(state)
        known, middle = ends.known, bisect_left(ends.known, (self._asked.now + self._asked.lasts,))
        yield (self._head(gain, known[place][0], known[place][2]) for place in range(middle - 1, -1, -1))
        yield (self._head(gain, known[place][0], known[place][2]) for place in range(middle, len(known)))
        yield (self._head(gain, None, card) for _, card in ends.unknown)

    def _head(self, gain: int, end: float | None, card: Card) -> _Head:
        asked = self._asked
        most = self._outlook.ceiling(gain / _BILLION, asked.lasts, end, now=asked.now, scale=asked.scale)
        return -(most + self._margin) * self._unit, card.key, card

    @property
    def margin(self) -> float:
        """What a score is better by for reusing a warm slice."""
        return self._margin * self._unit

    def look(self, card: Card, *, blind: bool = False) -> Iterator[tuple[float, Ranked]]:
        """What each place on a GPU scores, by start; `blind`: if nobody knew when its slices end."""
        asked, ends = self._asked, () if blind else card.ends
        for place in places_on(card, self._stock, self._kind):
            option = place.option
            score = self._outlook.score(
                asked.lasts,
                before=card.state,
                after=option.after,
                window=self._stock.space.placed[self._kind][option.start].window,
                ends=ends,
                now=asked.now,
                scale=asked.scale,
            )
            yield -(score + option.reuse * self._margin) * self._unit, place


def _push(heap: list[_Entry], row: Iterator[_Head]) -> None:
    """Put the next GPU of a row into the heap."""
    head = next(row, None)
    if head is not None:
        heappush(heap, (*head, row))
