"""Small fleets of single GPUs: plans are carried out on them slice by slice, and the best plan is found by trying all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from allocator.placement.migration import Plan
from allocator.placement.moves import Group
from allocator.placement.states import StateSpace
from mig.occupancy import Placed, first_fault
from mig.profiles import Profile


class RandomValues:
    """Any number for any state: a search that finds the best under these finds it under every policy."""

    def __init__(self, space: StateSpace, seed: int) -> None:
        self.space = space
        self._random = Random(seed)
        self._known: dict[int, float] = {}

    def value(self, state: int) -> float:
        """Between -5 and 5, in steps of a thousandth."""
        if state not in self._known:
            self._known[state] = round(self._random.uniform(-5, 5), 3)
        return self._known[state]


@dataclass
class Gpu:
    """One GPU and what lies on it."""

    values: RandomValues
    slices: set[Placed]
    fixed: frozenset[Placed] = frozenset()
    takes: bool = True

    @property
    def space(self) -> StateSpace:
        """Its states."""
        return self.values.space

    def value(self) -> float:
        """How good its state is."""
        return self.values.value(self.space.of(self.slices))

    def places(self, profile: Profile) -> list[Placed]:
        """Where one more slice may be made."""
        kind = self.space.kinds.get(profile)
        if kind is None:
            return []
        return [self.space.placed[kind][start] for start, _ in self.space.places(self.space.of(self.slices), kind)]

    def group(self) -> Group:
        """Itself, as a planner sees it."""
        slots = sorted((self.space.kinds[item.profile], item.window.start) for item in self.slices - self.fixed)
        return Group(self.values, self.space.of(self.slices), movable=tuple(slots), takes=self.takes)


def grouped(fleet: Sequence[Gpu]) -> tuple[list[Group], list[list[Gpu]]]:
    """The groups of a fleet, equal GPUs together, and the GPUs of each."""
    members: dict[Group, list[Gpu]] = {}
    for gpu in fleet:
        members.setdefault(gpu.group(), []).append(gpu)
    groups = [
        Group(group.values, group.state, count=len(gpus), movable=group.movable, takes=group.takes)
        for group, gpus in members.items()
    ]
    return groups, list(members.values())


def carry_out(plan: Plan, profile: Profile, members: Sequence[Sequence[Gpu]]) -> float:
    """Make the moves of a plan and the new slice; the gain of all values. Fails where something does not lie or fit there."""
    gpus = [gpu for group in members for gpu in group]
    before = sum(gpu.value() for gpu in gpus)
    for move in plan.moves:
        source = members[move.source[0]][move.source[1]]
        assert move.placed not in source.fixed
        source.slices.remove(move.placed)
    home = members[plan.gpu[0]][plan.gpu[1]]
    assert home.takes
    _land(home, profile, plan.start)
    for move in plan.moves:
        _land(members[move.target[0]][move.target[1]], move.placed.profile, move.start)
    for gpu in gpus:
        assert first_fault(gpu.space.shape, sorted(gpu.slices)) is None
    return sum(gpu.value() for gpu in gpus) - before


def _land(gpu: Gpu, profile: Profile, start: int) -> None:
    (place,) = (place for place in gpu.places(profile) if place.window.start == start)
    gpu.slices.add(place)


def best_by_trial(fleet: Sequence[Gpu], profile: Profile, *, moves: int) -> float | None:
    """The largest gain of any way to make exactly so many moves and the new slice, or None where there is none."""
    before = sum(gpu.value() for gpu in fleet)
    movable = [(gpu, item) for gpu in fleet for item in sorted(gpu.slices - gpu.fixed)]
    best: float | None = None
    for leaving in combinations(movable, moves):
        for gpu, item in leaving:
            gpu.slices.remove(item)
        wanted = [item.profile for _, item in leaving]
        for home in (gpu for gpu in fleet if gpu.takes):
            for place in home.places(profile):
                home.slices.add(place)
                for after in _landings(fleet, wanted):
                    best = after - before if best is None else max(best, after - before)
                home.slices.remove(place)
        for gpu, item in leaving:
            gpu.slices.add(item)
    return best


def _landings(fleet: Sequence[Gpu], wanted: Sequence[Profile]) -> Iterator[float]:
    if not wanted:
        yield sum(gpu.value() for gpu in fleet)
        return
    for gpu in fleet:
        for place in gpu.places(wanted[0]):
            gpu.slices.add(place)
            yield from _landings(fleet, wanted[1:])
            gpu.slices.remove(place)


def random_gpu(values: RandomValues, random: Random, *, tries: int, largest: int = 99) -> Gpu:
    """A GPU on which as many random slices were tried; some of them cannot be moved, and it may take no new one.

    `largest`: memory slices that a slice may have.
    """
    gpu = Gpu(values, set(), takes=random.random() > 0.2)
    profiles = sorted(offer.profile for offer in gpu.space.shape.offers if offer.size <= largest)
    for _ in range(tries):
        places = gpu.places(random.choice(profiles))
        if places:
            gpu.slices.add(random.choice(places))
    gpu.fixed = frozenset(item for item in sorted(gpu.slices) if random.random() < 0.15)
    return gpu
