"""Which slices to move so that one more finds a place: the fewest, and among as few those that leave the fleet in the best states.

Plans only; nothing is carried out here, and who may be disturbed is the caller's to say. All slices of a plan leave before any of
them lands, each keeps its profile, and one may land on the GPU that it left. With one and two moves the answer is exact: a plan
has no more moves than needed, and no plan of as many has a larger gain (`_Search.one` and `two` say why). With more, one GPU is
cleared into free room and nothing else is tried, so the number of moves is an upper bound.

On 100 GPUs a plan takes some 2 ms, one or two moves together. The work is bounded by the number of groups, not of GPUs: with every
set of slices that an A100 can hold (2,318 with `+me`, 722 without), each on 50 GPUs, it takes 0.15 s at first, later 0.06 s.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

from allocator.placement.evacuation import Clearing, clear
from allocator.placement.moves import Desk, Exchange, Group, Slot, Values
from mig.occupancy import Placed
from mig.profiles import Profile

Gpu = tuple[int, int]
"""A GPU in a plan: the index of its group, and which of the group's GPUs, from 0. Different pairs are different GPUs."""


@dataclass(frozen=True, slots=True)
class Move:
    """A slice leaves the GPU `source`, where it lies at `placed`, and is made anew on `target` at `start`."""

    source: Gpu
    placed: Placed
    target: Gpu
    start: int


@dataclass(frozen=True, slots=True)
class Plan:
    """After these moves the new slice has its place on `gpu` at `start`. `gain`: the value of all GPUs after, less before."""

    moves: tuple[Move, ...]
    gpu: Gpu
    start: int
    gain: float


class _Ask(NamedTuple):
    """What a part of a plan asks of one GPU, by the numbers of slices: `_NEW`, or from 1 on the profiles that can move."""

    gives: tuple[int, ...]
    takes: tuple[int, ...]
    home: bool = False
    """The first that it takes is the new slice."""


class _Part(NamedTuple):
    """One GPU's answer."""

    gain: float
    group: int
    exchange: Exchange


_NEW: Final = 0

_Scheme = tuple[_Ask, ...]
"""What a plan asks of different GPUs; the home comes first."""

_ENOUGH: Final = 3
"""Best answers kept for an ask: a scheme has at most three GPUs, so one of three is always free of the other two."""


class Planner:
    """Plans for one fleet after another; what it worked out is kept as long as the same values come again."""

    def __init__(self) -> None:
        self._desks: dict[Values, Desk] = {}

    def plan(self, profile: Profile, groups: Sequence[Group], *, most: int = 2) -> Plan | None:
        """The plan with the fewest moves, of at most `most`, that makes room for a slice; None where none was found."""
        kept = self._desks
        self._desks = {
            values: kept.get(values) or Desk(values) for values in dict.fromkeys(group.values for group in groups)
        }
        for desk in self._desks.values():
            desk.trim()
        search = _Search(profile, groups, self._desks)
        for moves, schemes in enumerate((search.none, search.one, search.two)):
            found = search.best(schemes()) if moves <= most else None
            if found is not None:
                return found
        cleared = clear(profile, groups, [self._desks[group.values] for group in groups], most=most)
        return None if cleared is None else _of_clearing(cleared, groups)


class _Row(NamedTuple):
    """A group at a desk: its place in the input, its free memory slices, its number there, and that of its state alone."""

    place: int
    free: int
    holding: int
    alone: int
    group: Group


class _Shelf:
    """The groups of one desk: by the kind of a movable slice, and under None all of them."""

    def __init__(self, desk: Desk, values: Values, groups: Sequence[Group], names: Sequence[Profile]) -> None:
        self.desk = desk
        self._kinds = [values.space.kinds.get(profile, -1) for profile in names]
        self._offers = values.space.shape.offers
        self.rows: dict[int | None, list[_Row]] = defaultdict(list)
        free = values.space.free
        for index, group in enumerate(groups):
            if group.values is values:
                state, movable = group.state, group.movable
                row = _Row(index, free[state], desk.holding(state, movable), desk.holding(state), group)
                for kind in {kind for kind, _ in movable}:
                    self.rows[kind].append(row)
                self.rows[None].append(row)

    def answers(self, ask: _Ask) -> Iterator[_Part]:
        """The best that a GPU of each group can do."""
        takes = tuple([self._kinds[number] for number in ask.takes])
        gives = tuple(sorted([self._kinds[number] for number in ask.gives]))
        if -1 in takes or -1 in gives:
            return
        offers = self._offers
        short = sum([offers[kind].size for kind in takes]) - sum([offers[kind].size for kind in gives])
        for row in self.rows[gives[0] if gives else None]:
            if row.free >= short and (row.group.takes or not ask.home):
                exchange = self.desk.best(row.group, row.holding if gives else row.alone, gives, takes)
                if exchange is not None:
                    yield _Part(exchange.gain, row.place, exchange)


class _Search:
    def __init__(self, profile: Profile, groups: Sequence[Group], desks: Mapping[Values, Desk]) -> None:
        self._groups = groups
        self._names = [profile, *sorted({moving for group in groups for moving in group.profiles()})]
        self._moving = range(1, len(self._names))
        self._shelves = [_Shelf(desk, values, groups, self._names) for values, desk in desks.items()]
        self._known: dict[_Ask, list[_Part]] = {}

    def none(self) -> Iterator[_Scheme]:
        """It fits as things are."""
        yield (_Ask((), (_NEW,), True),)

    def one(self) -> Iterator[_Scheme]:
        """Room that was not there appears only where a slice left: it lands elsewhere, or beside the new one."""
        for slice_ in self._moving:
            home = _Ask((slice_,), (_NEW,), True)
            if self._answers(home):
                yield home, _Ask((), (slice_,))
                yield (_Ask((slice_,), (_NEW, slice_), True),)

    def two(self) -> Iterator[_Scheme]:
        """Where one move is not enough, either both slices leave the new one's GPU, or the first lands where the second left.

        Were it neither, the second move would make no room that the new slice or the first move needs, and one would do. For
        the same reason both are of different profiles in the second case.
        """
        for first, second in product(self._moving, repeat=2):
            pair = (first, second) if first <= second else (second, first)
            both = _Ask(pair, (_NEW,), True)
            if self._answers(both):
                if first <= second:
                    yield both, _Ask((), (first,)), _Ask((), (second,))
                    yield both, _Ask((), pair)
                    yield (_Ask(pair, (_NEW, *pair), True),)
                yield _Ask(pair, (_NEW, first), True), _Ask((), (second,))
            home = _Ask((first,), (_NEW,), True)
            if first != second and self._answers(home):
                chain = _Ask((second,), (first,))
                yield home, chain, _Ask((), (second,))
                yield home, _Ask((second,), (first, second))
                yield _Ask((first,), (_NEW, second), True), chain

    def best(self, schemes: Iterable[_Scheme]) -> Plan | None:
        """The plan of the largest gain; the first of equals."""
        best: tuple[_Part, ...] | None = None
        most = float("-inf")
        chosen: _Scheme = ()
        for scheme in schemes:
            for parts in self._together(scheme):
                gain = round(sum(part.gain for part in parts), 9)
                if gain > most:
                    best, most, chosen = parts, gain, scheme
        return None if best is None else self._written(chosen, best, most)

    def _together(self, scheme: _Scheme) -> Iterator[tuple[_Part, ...]]:
        """Answers of different GPUs to all asks."""
        answers = []
        for ask in scheme:
            answers.append(self._answers(ask))
            if not answers[-1]:
                return
        for parts in product(*answers):
            used = [part.group for part in parts]
            if len(set(used)) == len(used) or all(used.count(group) <= self._groups[group].count for group in used):
                yield parts

    def _answers(self, ask: _Ask) -> list[_Part]:
        known = self._known.get(ask)
        if known is None:
            found = [part for shelf in self._shelves for part in shelf.answers(ask)]
            found.sort(key=lambda part: (-part.gain, part.group))
            known = self._known[ask] = found[:_ENOUGH]
        return known

    def _written(self, scheme: _Scheme, parts: tuple[_Part, ...], gain: float) -> Plan:
        """The plan in words: slices of one profile are alike, so whichever left may be the one that lands."""
        nth: Counter[int] = Counter()
        gpus: list[Gpu] = []
        for part in parts:
            gpus.append((part.group, nth[part.group]))
            nth[part.group] += 1
        leaving: dict[Profile, list[tuple[Gpu, Slot]]] = {}
        landing: list[tuple[Profile, Gpu, int]] = []
        for ask, part, gpu in zip(scheme, parts, gpus, strict=True):
            offers = self._groups[part.group].values.space.shape.offers
            for slot in part.exchange.gives:
                leaving.setdefault(offers[slot[0]].profile, []).append((gpu, slot))
            lands = list(zip(ask.takes, part.exchange.starts, strict=True))
            landing += [(self._names[number], gpu, start) for number, start in lands[ask.home :]]
        moves = []
        for profile, gpu, start in landing:
            source, slot = leaving[profile].pop(0)
            moves.append(Move(source, _placed(self._groups[source[0]], slot), gpu, start))
        return Plan(tuple(moves), gpus[0], parts[0].exchange.starts[0], gain)


def _placed(group: Group, slot: Slot) -> Placed:
    return group.values.space.placed[slot[0]][slot[1]]


def _of_clearing(cleared: Clearing, groups: Sequence[Group]) -> Plan:
    home = cleared.group, 0
    group = groups[cleared.group]
    moves = tuple(Move(home, _placed(group, slot), gpu, start) for slot, gpu, start in cleared.landings)
    return Plan(moves, home, cleared.start, cleared.gain)
