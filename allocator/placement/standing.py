"""Where a place stands: all that places are compared by, as one frozen value, and what decides between two of them.

It says in the open what the ladders and the foresight work out in bits, for few places at a time: those that an explanation names.
The order is theirs; a place that stands first here is the one that the engine takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from allocator.placement.choosing import Fits, Lanes, Ranked, places_on, scales_of
from allocator.placement.fleet import Wish
from allocator.placement.foresight import Sight
from allocator.placement.placement import Choice, Placement
from allocator.placement.racks import Rack, Racks
from allocator.placement.stock import Card, Stock

_BILLION: Final = 1e9
_DECIMALS: Final = 9
"""What values are told to; sums of floats differ behind that."""


class Criterion(StrEnum):
    """What decided between two places, from what counts most to what counts least."""

    PROMISE = "promise"
    """The other place is better, and was not looked at: of places for a declared lifetime only the most promising are."""
    VALUE = "value"
    """What the policy's value of the GPU's state gains."""
    ENDS = "ends"
    """The same; were it unknown when the neighbours end, the other place would stand no lower."""
    REUSE = "reuse"
    """The same; without the margin of a warm slice, the other place would stand no lower."""
    FULLER = "fuller"
    """Equal value, on a GPU of which more is used."""
    WARM = "warm"
    """Equal in that, too; the warm slices that go are less likely to be asked for."""
    ROOM = "room"
    """Equal in that, too; more CPU and memory is left on the node."""
    NAMES = "names"
    """Equal in all that counts; the names of the nodes decide, then the order of the GPUs, then the start."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A place for all slices of a Pod. `worth`, `margin` and `ends` are in the unit in which places were compared."""

    placement: Placement
    worth: float
    """What counts first: the gain of the policy's value, with the margin and the ends."""
    margin: float
    """What of it is for the reuse of warm slices."""
    ends: float | None
    """What of it is for the ends of the neighbours being known; None where the Pod's own lifetime does not count."""
    used: int
    """Memory slices in use on the GPU; for several slices the sum over them, each before the next."""
    width: int
    """Memory slices of the GPU; for several slices summed likewise."""
    cost: float
    """The share of demand that asks for the warm slices that go, from 0."""
    room: float
    """What is left of the node's CPU or memory, whichever is scarcer, from 0 to 1."""
    index: int
    """Of the (first) GPU on its node."""

    @property
    def order(self) -> tuple[float, int, float, float, str, int, int]:
        """Sorts places: the best is the smallest. Under declared lifetimes it does not count how full a GPU is."""
        place = self.placement
        used = -self.used if self.ends is None else 0
        start = place.choices[0].placed.window.start
        return -self.worth, used, self.cost, -self.room, place.node, self.index, start

    def decides(self, other: "Standing") -> Criterion:
        """The first criterion in which this place, which is taken, and another one differ."""
        if other.order < self.order:
            return Criterion.PROMISE
        if self.worth != other.worth:
            return self._value(other)
        if self.ends is None and self.used != other.used:
            return Criterion.FULLER
        if self.cost != other.cost:
            return Criterion.WARM
        return Criterion.ROOM if self.room != other.room else Criterion.NAMES

    def _value(self, other: "Standing") -> Criterion:
        lead = self.worth - other.worth
        if self.ends is not None and other.ends is not None and _is_gone(lead - (self.ends - other.ends)):
            return Criterion.ENDS
        return Criterion.REUSE if _is_gone(lead - (self.margin - other.margin)) else Criterion.VALUE


def _is_gone(lead: float) -> bool:
    return round(lead, _DECIMALS) <= 0


@dataclass(frozen=True)
class Sought:
    """What a Pod may choose from: the stocks of the nodes that may suit it, and whether a node, by name, takes it.

    `sights` are there where the Pod's lifetime counts: by `id` of the stock, how its places score under known ends.
    """

    wish: Wish
    stocks: Sequence[Stock]
    fits: Fits
    racks: Racks
    sights: Mapping[int, Sight] | None

    @cached_property
    def lanes(self) -> Lanes:
        """The stocks that offer the one profile of a Pod of one slice."""
        (need,) = self.wish.needs
        return Lanes.of(self.stocks, need.profile)

    @cached_property
    def _kinds(self) -> Mapping[int, int]:
        return {id(stock): kind for stock, kind in self.lanes.stocks}

    def count(self) -> int:
        """How many places there are for a Pod of one slice."""
        found = ((card, card.stock, self._kinds.get(id(card.stock))) for card in self.cards())
        return sum(
            sum(1 for _ in places_on(card, stock, kind))
            for card, stock, kind in found
            if stock is not None and kind is not None
        )

    @cached_property
    def scales(self) -> Mapping[int, float]:
        """What gains are multiplied by, by `id` of the space."""
        single = len(self.wish.needs) == 1
        return scales_of([stock for stock, _ in self.lanes.stocks] if single else self.stocks)

    @property
    def _unit(self) -> float:
        """One table counts in billionths; several are counted in what each usually gains."""
        return _BILLION if len(self.scales) == 1 else 1.0

    def cards(self) -> Iterator[Card]:
        """The GPUs on the nodes that take the Pod, those in trouble left out."""
        for rack in self.racks:
            if self.fits(rack.view.name):
                yield from rack.cards.values()

    def on(self, card: Card) -> Iterator[Standing]:
        """Every place for a Pod of one slice on one GPU."""
        stock, kind = card.stock, self._kinds.get(id(card.stock))
        if stock is None or kind is None:
            return
        if self.sights is None:
            scale, ladder = self.scales[id(stock.space)], stock.table.ladder(kind)
            for place in places_on(card, stock, kind):
                extra = stock.table.margin * place.option.reuse
                worth = (ladder.gain(place.rank) + extra) * scale
                yield self._standing(place, worth=worth, margin=extra * scale, ends=None)
            return
        sight = self.sights[id(stock)]
        for (score, place), (blind, _) in zip(sight.look(card), sight.look(card, blind=True), strict=True):
            yield self._standing(place, worth=-score, margin=sight.margin * place.option.reuse, ends=blind - score)

    def _standing(self, place: Ranked, *, worth: float, margin: float, ends: float | None) -> Standing:
        option, stock, kind, _ = place
        need = self.wish.needs[0]
        drops = stock.warmth.placed(option.drops)
        choice = Choice(need, option.card.uuid, stock.space.placed[kind][option.start], option.reuse, drops)
        width = stock.space.shape.width
        return Standing(
            placement=Placement(option.card.node, (choice,)),
            worth=worth / self._unit,
            margin=margin / self._unit,
            ends=None if ends is None else ends / self._unit,
            used=width - stock.space.free[option.card.state],
            width=width,
            cost=option.cost / _BILLION,
            room=-option.key[0],
            index=option.key[2],
        )

    def of(self, placement: Placement) -> Standing:
        """Where a place for all slices of the Pod stands, which must be one that there is now."""
        rack = self.racks[placement.node]
        if len(self.wish.needs) > 1:
            return self._of_several(placement, rack)
        (choice,) = placement.choices
        return next(it for it in self.on(rack.cards[choice.gpu]) if it.placement.choices[0].placed == choice.placed)

    def _of_several(self, placement: Placement, rack: Rack) -> Standing:
        """Slice by slice, each in the state that the one before it left."""
        worth = margins = 0.0
        used = width = cost = 0
        now: dict[str, tuple[int, int]] = {}
        for choice in placement.choices:
            card = rack.cards[choice.gpu]
            stock = card.stock
            assert stock is not None
            space, start, scale = stock.space, choice.placed.window.start, self.scales[id(stock.space)]
            kind = space.kinds[choice.placed.profile]
            state, warm = now.get(choice.gpu, (card.state, card.warm))
            after = space.after(state, kind, start)
            lost, drops = (0, 0) if choice.reuse else stock.drops(after, warm)
            margin = stock.table.margin * choice.reuse * scale
            values = stock.table.billionths
            worth, margins = worth + (values[after] - values[state]) * scale + margin, margins + margin
            used, width, cost = used + space.shape.width - space.free[state], width + space.shape.width, cost + lost
            now[choice.gpu] = after, warm & ~(drops | stock.warmth.bit(kind, start))
        return Standing(
            placement=placement,
            worth=round(worth / self._unit, _DECIMALS),
            margin=margins / self._unit,
            ends=None,
            used=used,
            width=width,
            cost=cost / _BILLION,
            room=rack.view.room,
            index=min(rack.cards[choice.gpu].key[2] for choice in placement.choices),
        )
