"""The shipped placement engine as a `Placer`: the same stock, tables and choice as in the allocator, on a fleet of simulated GPUs.

It learns the demand mix from what it is asked and the scale of lifetimes from what is declared, as the allocator does from Pods.
Slices that end stay on their GPU, warm, until somebody reuses them or needs their room; with `warm` off they vanish.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from allocator.placement.choosing import Lanes
from allocator.placement.durations import Scale, tuned
from allocator.placement.foresight import Foresight
from allocator.placement.mix import Learner, Mix
from allocator.placement.policy import Fgd, Policy, Tiny, Tuned
from allocator.placement.states import EMPTY, space_of
from allocator.placement.stock import Card, Option, Stock
from allocator.placement.tables import Tables
from mig.occupancy import Placed
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.moving import Mover, option_at
from simulate.placer import Spot

POLICIES: Final[dict[str, Policy]] = {"default": Tuned(), "tiny": Tiny(), "fgd": Fgd()}

_LOOK_EVERY: Final = 32
"""Arrivals after which the mix is looked at again: with each it moves by a thousandth, tables are made anew at forty of them."""


class Shipped:
    """An empty fleet, `per_node` GPUs a node, under one of the policies that are shipped; `mix` is what was learned before.

    With `moves_every` one move in so many arrivals is made for those who would be refused for fragmentation.
    """

    def __init__(
        self,
        shapes: Sequence[GpuShape],
        *,
        policy: str = "default",
        per_node: int = 8,
        warm: bool = True,
        mix: Mix | None = None,
        moves_every: int | None = None,
    ) -> None:
        self._learner = Learner(mix)
        self._scale = Scale()
        self._tables = Tables(POLICIES[policy], mix or Mix())
        self._foresight = Foresight(POLICIES[policy], tuned(), mix or Mix())
        self._warm = warm
        self._asked = 0
        self._stocks: dict[int, Stock] = {}
        self._cards = [self._card(gpu, shape, per_node) for gpu, shape in enumerate(shapes)]
        self._lanes: dict[Profile, Lanes] = {}
        self._mover = None if moves_every is None else Mover(self._cards, every=moves_every, warm=warm)

    def _card(self, gpu: int, shape: GpuShape, per_node: int) -> Card:
        space = space_of(shape)
        stock = self._stocks.get(id(space))
        if stock is None:
            stock = self._stocks[id(space)] = Stock(self._tables.of(space))
        card = Card(str(gpu), (0.0, f"node-{gpu // per_node:06}", gpu), state=EMPTY)
        stock.add(card)
        return card

    def hold(self, gpu: int, placed: Iterable[Placed]) -> None:
        """These slices, and no others, lie on the GPU from the beginning, and stay. Only before the first `place`."""
        card = self._cards[gpu]
        stock = _stock_of(card)
        stock.remove(card)
        card.state = stock.space.of(placed)
        for other in self._stocks.values():
            table = self._tables.of(other.space)
            if table is not other.table:
                other.follow(table)
        stock.add(card)

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:
        """Take the best place; with `until`, as far as ends can be foreseen."""
        self._learn(profile)
        lanes = self._lanes.get(profile)
        if lanes is None:
            lanes = self._lanes[profile] = Lanes.of(self._stocks.values(), profile)
        if until is None or until <= now:
            found = lanes.first()
        else:
            self._scale = self._scale.after(until - now)
            found = self._foresight.first(lanes, lasts=until - now, now=now, scale=self._scale)
        if found is not None:
            return self._take(found.option, found.stock, found.kind, until)
        made = self._mover and self._mover.make_room(profile, lasts=until and until - now, scale=self._scale)
        if not made:
            return None
        card, start = made
        stock = _stock_of(card)
        kind = stock.space.kinds[profile]
        return self._take(option_at(card, stock, kind, start), stock, kind, until)

    def _take(self, option: Option, stock: Stock, kind: int, until: float | None) -> Spot:
        stock.settle(option.card, kind, option, end=until)
        spot = Spot(option.card.key[2], stock.space.placed[kind][option.start], option.reuse)
        if self._mover is not None:
            self._mover.placed(spot, option.card, (kind, option.start))
        return spot

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - a Placer's
        """The slice is free, and stays warm."""
        card, (kind, start) = self._where(spot) if self._mover is None else self._mover.left(spot)
        _stock_of(card).leave(card, kind, start, warm=self._warm)
        if self._asked >= _LOOK_EVERY:
            self._look()

    def _where(self, spot: Spot) -> tuple[Card, tuple[int, int]]:
        card = self._cards[spot.gpu]
        return card, (_stock_of(card).space.kinds[spot.placed.profile], spot.placed.window.start)

    def _learn(self, profile: Profile) -> None:
        self._learner.learn(profile)
        self._asked += 1
        if self._mover is not None:
            self._mover.arrived()

    def _look(self) -> None:
        """Follow the mix, as the allocator does between its rounds."""
        self._asked = 0
        mix = self._learner.mix()
        self._foresight.follow(mix)
        if self._tables.follow(mix):
            for stock in self._stocks.values():
                stock.follow(self._tables.of(stock.space))


def _stock_of(card: Card) -> Stock:
    if card.stock is None:
        raise RuntimeError(f"GPU {card.uuid} is in no stock")
    return card.stock
