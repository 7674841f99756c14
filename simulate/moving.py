"""Migration carried out, in the simulator alone: who is refused for fragmentation may have others moved, within a budget of moves.

The plan and the decision whether it is worth its moves are the engine's; here slices change their places at once and at no cost. A
moved slice leaves a warm one behind, as in the cluster. Who holds a `Spot` need not know that it has moved.
"""

from collections.abc import Iterable, Mapping

from allocator.placement.budget import Budget, worth
from allocator.placement.choosing import places_on
from allocator.placement.durations import Scale
from allocator.placement.migration import Gpu, Plan, Planner
from allocator.placement.moves import Group, Slot
from allocator.placement.stock import Card, Option, Stock
from mig.profiles import Profile
from simulate.placer import Spot

MOST_MOVES = 2
"""In one plan: with one and two moves it is the best there is."""


class Mover:
    """Knows what lies where on a fleet, and spends one move in `every` arrivals."""

    def __init__(self, cards: Iterable[Card], *, every: int, warm: bool) -> None:
        self._budget = Budget(every)
        self._planner = Planner()
        self._cards = tuple(cards)
        self._warm = warm
        self._lies: dict[Card, dict[Slot, Spot]] = {card: {} for card in self._cards}
        self._where: dict[int, tuple[Card, Slot]] = {}
        """By `id` of a spot that somebody holds."""
        self.moves = 0

    def arrived(self) -> None:
        """One more slice was asked for."""
        self._budget.arrived()

    def placed(self, spot: Spot, card: Card, slot: Slot) -> None:
        """A slice lies there now."""
        self._lies[card][slot] = spot
        self._where[id(spot)] = card, slot

    def left(self, spot: Spot) -> tuple[Card, Slot]:
        """A slice has ended; where it lay last."""
        card, slot = self._where.pop(id(spot))
        del self._lies[card][slot]
        return card, slot

    def make_room(self, profile: Profile, *, lasts: float | None, scale: Scale) -> tuple[Card, int] | None:
        """Move what is in the way of one more slice, if that is worth it; the GPU and the start that are free for it then."""
        if not self._budget.moves:
            return None
        groups = self._groups()
        plan = self._planner.plan(profile, list(groups), most=min(MOST_MOVES, self._budget.moves))
        if plan is None or not self._accepts(plan, profile, lasts=lasts, scale=scale):
            return None
        members = list(groups.values())
        self._carry_out(plan, {gpu: members[gpu[0]][gpu[1]] for gpu in _gpus_of(plan)})
        return members[plan.gpu[0]][plan.gpu[1]], plan.start

    def _accepts(self, plan: Plan, profile: Profile, *, lasts: float | None, scale: Scale) -> bool:
        spaces = [_stock(card).space for card in self._cards]
        free = sum(space.free[card.state] for space, card in zip(spaces, self._cards, strict=True))
        size = max(space.shape.by_profile[profile].size for space in spaces if profile in space.kinds)
        share = free / sum(space.shape.width for space in spaces)
        mean = scale.seconds
        stays = 1.0 if lasts is None or mean is None else lasts / mean
        return self._budget.spend(worth(plan, size=size, free=share, lasts=stays), moves=len(plan.moves))

    def _groups(self) -> dict[Group, list[Card]]:
        groups: dict[Group, list[Card]] = {}
        for card in self._cards:
            table = _stock(card).table
            groups.setdefault(Group(table, card.state, movable=tuple(sorted(self._lies[card]))), []).append(card)
        return {
            Group(group.values, group.state, count=len(cards), movable=group.movable): cards
            for group, cards in groups.items()
        }

    def _carry_out(self, plan: Plan, cards: Mapping[Gpu, Card]) -> None:
        """All leave before any lands."""
        landing: list[tuple[Spot, float | None, Card, Slot]] = []
        for move in plan.moves:
            card, target = cards[move.source], cards[move.target]
            kind, start = _stock(card).space.kinds[move.placed.profile], move.placed.window.start
            end = _stock(card).leave(card, kind, start, warm=self._warm)
            spot = self._lies[card].pop((kind, start))
            landing.append((spot, end, target, (_stock(target).space.kinds[move.placed.profile], move.start)))
        for spot, end, card, (kind, start) in landing:
            stock = _stock(card)
            stock.settle(card, kind, option_at(card, stock, kind, start), end=end)
            self.placed(spot, card, (kind, start))
        self.moves += len(landing)


def _gpus_of(plan: Plan) -> set[Gpu]:
    return {plan.gpu, *(gpu for move in plan.moves for gpu in (move.source, move.target))}


def option_at(card: Card, stock: Stock, kind: int, start: int) -> Option:
    """A slice at a start that is legal on a GPU."""
    return next(place.option for place in places_on(card, stock, kind) if place.option.start == start)


def _stock(card: Card) -> Stock:
    if card.stock is None:
        raise RuntimeError(f"GPU {card.uuid} is in no stock")
    return card.stock
