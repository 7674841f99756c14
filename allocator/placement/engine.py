"""The placement engine: where a Pod's slices go, on a fleet that it knows from one question to the next.

It is a cache of a pure function. What it answers depends on the nodes, geometries, mix and places to avoid that it was last given
and on the Pods taken since, never on the way there: an engine that has followed a fleet for weeks answers as one made this moment.
Node fit first, by classes of nodes and a look at each one for what other Pods take of it; then the value of the place; then, where
there is none, the sharpest true reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from allocator.placement.choosing import Fits, Lanes, Ranked, scales_of
from allocator.placement.durations import Scale, tuned
from allocator.placement.fit import misfit, shortage
from allocator.placement.fleet import NOTHING, NodeView, Wish
from allocator.placement.foresight import Foresight
from allocator.placement.mix import Mix
from allocator.placement.packing import Packer
from allocator.placement.placement import Choice, Placement, taken
from allocator.placement.policy import Policy, Tuned
from allocator.placement.racks import Avoid, Rack, Racks, Suited
from allocator.placement.refusal import Refusal, refuse
from allocator.placement.standing import Sought
from allocator.placement.stock import Card, Key, Stock
from allocator.placement.tables import Tables
from mig.demand import Need
from mig.geometries import ANYTHING, Geometries


class Engine:
    """Knows a fleet. `place` changes nothing, `take` does, and the next `sync` says what is true again."""

    def __init__(self, policy: Policy | None = None, *, mix: Mix | None = None) -> None:
        self._policy = policy or Tuned()
        self._tables = Tables(self._policy, mix or Mix())
        self._geometries = ANYTHING
        self._racks = Racks(self._tables, ANYTHING)
        self._foresight = Foresight(self._policy, tuned(), self._tables.mix)
        self._scale = Scale()
        self._now = 0.0

    @property
    def views(self) -> Sequence[NodeView]:
        """The nodes as they are now, with what was taken since the last `sync`."""
        return self._racks.views

    def view(self, node: str) -> NodeView:
        """One of them."""
        return self._racks[node].view

    def reset(self, nodes: Iterable[NodeView]) -> None:
        """Know these nodes, which are among those of the last `sync`, as they are given."""
        for node in nodes:
            self._racks.put(node)

    def follow(self, mix: Mix, scale: Scale, *, now: float) -> None:
        """Weigh places by newer demand: the mix, once it has moved enough, and the scale of lifetimes; `now` in epoch seconds."""
        self._scale, self._now = scale, now
        self._foresight.follow(mix)
        if self._tables.follow(mix):
            self._racks.retable()

    def sync(self, nodes: Iterable[NodeView], *, geometries: Geometries = ANYTHING, avoid: Avoid = frozenset()) -> None:
        """Know exactly these nodes; what is as it was costs a comparison."""
        if geometries is not self._geometries and geometries != self._geometries:
            self._racks = Racks(self._tables, geometries)
        self._geometries = geometries
        self._racks.sync(nodes, avoid)

    def place(self, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Placement | Refusal:
        """The best place for all slices of a Pod, or why there is none; `shunned` are nodes that the scheduler would not take."""
        return self.find(wish, shunned=shunned) or self._refuse(wish, shunned)

    def ranked(self, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Iterator[tuple[Placement, Ranked]]:
        """Every place for a Pod of one slice, best first, with where each stands."""
        (need,) = wish.needs
        suited = self._racks.suiting(wish)
        for place in Lanes.of(suited.stocks, need.profile).ranked(self._fits(wish, shunned, suited)):
            yield _single(need, place), place

    def sought(self, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Sought:
        """What a Pod may choose from as things stand, for who explains a choice; to be asked before anything changes."""
        suited = self._racks.suiting(wish)
        fits = self._fits(wish, shunned, suited)
        sights = None
        if wish.lasts is not None and len(wish.needs) == 1:
            lanes = Lanes.of(suited.stocks, wish.needs[0].profile)
            found = self._foresight.sights(lanes, lasts=wish.lasts, now=self._now, scale=self._scale)
            sights = {id(stock): sight for (stock, _), sight in zip(lanes.stocks, found, strict=True)}
        return Sought(wish, suited.stocks, fits, self._racks, sights)

    def misfits(self, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Mapping[str, str | None]:
        """By node: why the Pod cannot run there, or None where it can."""
        return {
            node.name: "lately refused by the scheduler" if node.name in shunned else misfit(wish, node)
            for node in self.views
        }

    def take(self, wish: Wish, placement: Placement) -> None:
        """Count a Pod as placed there, from now on for as long as it declares."""
        end = None if wish.lasts is None else self._now + wish.lasts
        self._racks.put(taken(self._racks[placement.node].view, placement, wish, end=end))

    def find(self, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Placement | None:
        """The place alone, or None."""
        suited = self._racks.suiting(wish)
        fits = self._fits(wish, shunned, suited)
        if len(wish.needs) == 1:
            place = self._best(wish, suited, fits)
            return None if place is None else _single(wish.needs[0], place)
        nodes = [rack for name in suited.nodes if fits(name) and (rack := self._racks[name]).cards]
        return self._spread(wish, nodes, suited.stocks)

    def _best(self, wish: Wish, suited: Suited, fits: Fits) -> Ranked | None:
        lanes = Lanes.of(suited.stocks, wish.needs[0].profile)
        if wish.lasts is not None:
            return self._foresight.first(lanes, lasts=wish.lasts, now=self._now, scale=self._scale, fits=fits)
        racks = (self._racks[name] for name in suited.nodes if fits(name))
        return lanes.first(fits, cards=lambda: (card for rack in racks for card in rack.cards.values()))

    def _spread(self, wish: Wish, nodes: Sequence[Rack], stocks: Iterable[Stock]) -> Placement | None:
        if not Packer.can([need.profile for need in wish.needs]):
            return self._one_by_one(wish, nodes)
        return _packed(wish, nodes, scales=scales_of(stocks))

    def _fits(self, wish: Wish, shunned: frozenset[str], suited: Suited) -> Fits:
        """Whether a node takes the Pod, asked once a node: what its class left open, and what the Pods there left of it."""
        racks, ask = self._racks, shortage if suited.decided else misfit
        known: dict[str, bool] = {}

        def fits(node: str) -> bool:
            answer = known.get(node)
            if answer is None:
                answer = known[node] = node not in shunned and ask(wish, racks[node].view) is None
            return answer

        return fits

    def _one_by_one(self, wish: Wish, nodes: Iterable[Rack]) -> Placement | None:
        """A Pod of more than can be packed exactly: the largest first, each at its best place, on the first node that has room."""
        needs = sorted(wish.needs, key=lambda need: need.profile, reverse=True)
        for rack in sorted(nodes, key=lambda rack: (-rack.view.room, rack.view.name)):
            alone = self._like_me([rack.view])
            choices: list[Choice] = []
            for need in needs:
                found = alone.find(replace(wish, needs=(need,), requests=NOTHING, host_ports=()))
                if found is None:
                    break
                alone.take(replace(wish, requests=NOTHING, host_ports=()), found)
                choices += found.choices
            if len(choices) == len(needs):
                return Placement(rack.view.name, tuple(choices))
        return None

    def _like_me(
        self, nodes: Iterable[NodeView], *, geometries: Geometries | None = None, avoid: Avoid | None = None
    ) -> "Engine":
        """Another engine, of the same mind but for what is given, on other nodes."""
        other = Engine(self._policy, mix=self._tables.mix)
        other.follow(self._tables.mix, self._scale, now=self._now)
        other.sync(
            nodes,
            geometries=self._geometries if geometries is None else geometries,
            avoid=self._racks.avoid if avoid is None else avoid,
        )
        return other

    def _refuse(self, wish: Wish, shunned: frozenset[str]) -> Refusal:
        nodes, misfits = self.views, self.misfits(wish, shunned=shunned)
        fitting = [node for node in nodes if misfits[node.name] is None]

        def fits_if(**others: Any) -> bool:
            return self._like_me(fitting, **others).find(wish, shunned=shunned) is not None

        return refuse(
            wish,
            nodes,
            misfits=misfits,
            without_geometries=lambda: self._racks.narrowed and fits_if(geometries=ANYTHING),
            without_failures=lambda: bool(self._racks.avoid) and fits_if(avoid=frozenset()),
            elsewhere=lambda: self._has_room(wish),
        )

    def _has_room(self, wish: Wish) -> bool:
        """Whether there is a place somewhere, on nodes that do not take the Pod, too."""
        if len(wish.needs) == 1:
            return Lanes.of(self._racks.everywhere(), wish.needs[0].profile).first() is not None
        nodes = [rack for rack in self._racks if rack.cards]
        return self._spread(wish, nodes, self._racks.everywhere()) is not None


def _single(need: Need, place: Ranked) -> Placement:
    option, stock, kind, _ = place
    drops = stock.warmth.placed(option.drops) if option.drops else ()
    placed = stock.space.placed[kind][option.start]
    return Placement(option.card.node, (Choice(need, option.card.uuid, placed, option.reuse, drops),))


def _packed(wish: Wish, nodes: Iterable[Rack], *, scales: Mapping[int, float]) -> Placement | None:
    packer = Packer([need.profile for need in wish.needs], scales=scales)
    best = packer.best([sorted(rack.cards.values(), key=_key) for rack in nodes])
    if best is None:
        return None
    cards, filling = best
    waiting = sorted(wish.needs, key=lambda need: (need.profile, need.containers), reverse=True)
    choices = []
    for index, step in filling.steps:
        stock = cards[index].stock
        assert stock is not None
        need = next(need for need in reversed(waiting) if need.profile == packer.profiles[step.profile])
        waiting.remove(need)
        drops = stock.warmth.placed(step.drops)
        choices.append(Choice(need, cards[index].uuid, stock.space.placed[step.kind][step.start], step.reuse, drops))
    return Placement(cards[0].node, tuple(choices))


def _key(card: Card) -> Key:
    return card.key
