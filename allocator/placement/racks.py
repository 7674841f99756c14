"""The nodes of a fleet and their GPUs, in the stocks that decisions are looked up in, kept equal to what it is told.

Nodes of one class share a stock for each space of states. A node that changes costs what changed on it: a GPU leaves its shelf and
comes to another. Equal fleets give equal stocks, however they came about.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from allocator.placement.classes import Class, Classes
from allocator.placement.fleet import GpuView, NodeView, Wish
from allocator.placement.states import StateSpace, space_of
from allocator.placement.stock import Card, Key, Stock
from allocator.placement.tables import Tables
from allocator.placement.warmth import warmth_of
from mig.geometries import Geometries
from mig.occupancy import Placed
from mig.placements import GpuShape

Avoid = frozenset[tuple[str, str, int]]
"""(node, GPU, start) where making a slice failed lately."""


@dataclass(slots=True)
class Rack:
    """A node with its GPUs by uuid, those in trouble left out: nothing new goes there."""

    view: NodeView
    kind: Class
    cards: dict[str, Card] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    nodes: set[str] = field(default_factory=set)
    stocks: dict[int, Stock] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suited:
    """The nodes of the classes that suit a Pod, and their stocks; unless it is `decided`, each node is still to be asked itself."""

    stocks: Sequence[Stock]
    nodes: Iterable[str]
    decided: bool


class Racks:
    """The fleet under one set of tables and geometries."""

    def __init__(self, tables: Tables, geometries: Geometries, avoid: Avoid = frozenset()) -> None:
        self._tables = tables
        self._geometries = geometries
        self.avoid = avoid
        self._failed = _by_gpu(avoid)
        self._racks: dict[str, Rack] = {}
        self._classes = Classes()
        self._spaces: dict[tuple[str, GpuShape], StateSpace] = {}
        self._groups: dict[Class, _Group] = {}

    def __getitem__(self, node: str) -> Rack:
        return self._racks[node]

    @property
    def views(self) -> tuple[NodeView, ...]:
        """The nodes as they are now, by name."""
        return tuple(self._racks[name].view for name in sorted(self._racks))

    def sync(self, nodes: Iterable[NodeView], avoid: Avoid) -> None:
        """Hold exactly these nodes."""
        touched = {node for node, _, _ in self.avoid ^ avoid}
        self.avoid, self._failed = avoid, _by_gpu(avoid)
        seen = set()
        for view in nodes:
            seen.add(view.name)
            rack = self._racks.get(view.name)
            if rack is None or view.name in touched or (rack.view is not view and rack.view != view):
                self.put(view, touched=view.name in touched)
        for name in self._racks.keys() - seen:
            self._remove(name)

    def put(self, view: NodeView, *, touched: bool = False) -> None:
        """A node that is new, or is otherwise than before; `touched`: what is to be avoided there has changed."""
        kind = self._classes.of(view)
        rack = self._racks.get(view.name)
        if rack is not None and rack.kind != kind:
            self._remove(view.name)
            rack = None
        if rack is None:
            self._classes.meet(kind, view)
            rack = self._racks[view.name] = Rack(view, kind)
            self._groups.setdefault(kind, _Group()).nodes.add(view.name)
        before, rack.view = rack.view, view
        same = not touched and before is not view and before.room == view.room and len(before.gpus) == len(view.gpus)
        known = {gpu.uuid: gpu for gpu in before.gpus}
        if list(known) != [gpu.uuid for gpu in view.gpus]:
            self._clear(rack, {gpu.uuid: index for index, gpu in enumerate(view.gpus)})
        for index, gpu in enumerate(view.gpus):
            if not (same and before.gpus[index] is gpu):
                self._put_gpu(rack, gpu, known.get(gpu.uuid), (-view.room, view.name, index))

    def _clear(self, rack: Rack, indices: Mapping[str, int]) -> None:
        """Take the GPUs away that are gone or have another index: no two may ever have one key."""
        for uuid in [uuid for uuid, card in rack.cards.items() if indices.get(uuid) != card.key[2]]:
            self._drop(rack, uuid)

    def _put_gpu(self, rack: Rack, gpu: GpuView, before: GpuView | None, key: Key) -> None:
        card, avoid = rack.cards.get(gpu.uuid), self._failed.get((rack.view.name, gpu.uuid), _NOWHERE)
        if card is not None and card.stock is not None and card.avoid == avoid and (before is gpu or before == gpu):
            if card.key != key:
                card.stock.rekey(card, key)
            return
        self._drop(rack, gpu.uuid)
        if not gpu.trouble:
            rack.cards[gpu.uuid] = self._shelve(rack, gpu, key, avoid)

    def _shelve(self, rack: Rack, gpu: GpuView, key: Key, avoid: frozenset[int]) -> Card:
        space = self._space_of(gpu)
        warm = [item for item in gpu.warm if _is_offered(space, item)]
        fixed = gpu.fixed if len(warm) == len(gpu.warm) else (*gpu.fixed, *(it for it in gpu.warm if it not in warm))
        state = space.meet(fixed)
        ends = tuple(
            (end, space.kinds[item.profile], item.window.start) for end, item in gpu.ends if _is_offered(space, item)
        )
        card = Card(gpu.uuid, key, state=state, warm=warmth_of(space).bits(warm), ends=ends, avoid=avoid)
        table = self._tables.of(space)
        stocks = self._groups[rack.kind].stocks
        stock = stocks.get(id(space))
        if stock is None:
            stock = stocks[id(space)] = Stock(table)
        elif stock.table is not table:
            # A state was met that no legal sequence reaches: the tables know it now.
            self.retable()
        stock.add(card)
        return card

    def _space_of(self, gpu: GpuView) -> StateSpace:
        known = self._spaces.get((gpu.model, gpu.shape))
        if known is None:
            known = space_of(gpu.shape, self._geometries.for_model(gpu.model))
            self._spaces[gpu.model, gpu.shape] = known
        return known

    def retable(self) -> None:
        """Order everything by the tables as they are now."""
        for group in self._groups.values():
            for stock in group.stocks.values():
                stock.follow(self._tables.of(stock.space))

    def _drop(self, rack: Rack, uuid: str) -> None:
        card = rack.cards.pop(uuid, None)
        if card is not None and card.stock is not None:
            card.stock.remove(card)

    def _remove(self, name: str) -> None:
        rack = self._racks.pop(name)
        for uuid in list(rack.cards):
            self._drop(rack, uuid)
        nodes = self._groups[rack.kind].nodes
        nodes.remove(name)
        if not nodes:
            del self._groups[rack.kind]
            self._classes.forget(rack.kind)

    def suiting(self, wish: Wish) -> Suited:
        """Where a Pod may go, whatever runs there."""
        if self._classes.learn(wish, (rack.view for rack in self)):
            views = self.views
            for view in views:
                self._remove(view.name)
            for view in views:
                self.put(view)
        groups = [self._groups[kind] for kind in self._classes.suiting(wish)]
        return Suited(
            stocks=[stock for group in groups for stock in group.stocks.values() if stock.buckets],
            nodes=chain.from_iterable(sorted(group.nodes) for group in groups),
            decided=self._classes.decides(wish),
        )

    def everywhere(self) -> Sequence[Stock]:
        """All stocks in which there is a GPU."""
        return [stock for group in self._groups.values() for stock in group.stocks.values() if stock.buckets]

    @property
    def narrowed(self) -> bool:
        """Whether geometries forbid anything on any GPU here."""
        return any(stock.space.allowed is not None for stock in self.everywhere())

    def __iter__(self) -> Iterator[Rack]:
        return iter(self._racks.values())


_NOWHERE: Final = frozenset[int]()


def _is_offered(space: StateSpace, item: Placed) -> bool:
    kind = space.kinds.get(item.profile)
    return kind is not None and space.placed[kind].get(item.window.start) == item


def _by_gpu(avoid: Avoid) -> Mapping[tuple[str, str], frozenset[int]]:
    starts: dict[tuple[str, str], set[int]] = {}
    for node, gpu, start in avoid:
        starts.setdefault((node, gpu), set()).add(start)
    return {gpu: frozenset(found) for gpu, found in starts.items()}
