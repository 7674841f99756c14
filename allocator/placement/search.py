"""The search for the best place of a Pod's slices, on nodes that are taken to fit.

Among all legal places, the one with the largest gain in the policy's value; ties go to the fuller GPU, then to the place that
costs fewer warm slices, then to the first by name: equal input gives equal output. All slices of a Pod go to one node:
several are found by an exact search with a bound.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from allocator.placement.fleet import GpuView, NodeView, Wish
from allocator.placement.policy import Policy
from mig.demand import Need
from mig.geometries import Geometries
from mig.occupancy import Placed, fits_beside, legal_starts
from mig.placements import Window
from mig.profiles import Profile

MAX_STEPS: Final = 20_000
"""Bound of one node's search, in placed slices; a Pod of four slices on eight unequal GPUs needs about 10,000."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One slice of a Pod at its place. `reuse`: it exists already. `drops`: warm slices that the same write must take away."""

    need: Need
    gpu: str
    placed: Placed
    reuse: bool
    drops: tuple[Placed, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where all slices of a Pod go."""

    node: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, order=True)
class _Score:
    """Larger is better, field by field."""

    gain: float = 0.0
    fullness: int = 0
    drops: int = 0

    def plus(self, other: "_Score") -> "_Score":
        return _Score(self.gain + other.gain, self.fullness + other.fullness, self.drops + other.drops)


@dataclass(frozen=True, slots=True)
class _Found:
    score: _Score = _Score()
    choices: tuple[Choice, ...] = ()

    def beats(self, other: Self | None) -> bool:
        return other is None or self.score > other.score


@dataclass(frozen=True, slots=True)
class Placer:
    """The standing part of the question: what is allowed, what is good, and which places failed lately."""

    geometries: Geometries
    policy: Policy
    avoid: frozenset[tuple[str, str, int]] = frozenset()
    """(node, GPU, start) where making a slice failed."""

    def best(self, wish: Wish, nodes: Iterable[NodeView]) -> Placement | None:
        """The best place on these nodes, which are taken to fit."""
        best: tuple[NodeView, _Found] | None = None
        for node in sorted(nodes, key=lambda node: node.name):
            found = _Search(self, node).run(wish.needs)
            if found is not None and found.beats(best[1] if best else None):
                best = node, found
        return Placement(best[0].name, best[1].choices) if best else None

    def options(self, node: str, gpu: GpuView, need: Need) -> Iterator[tuple[_Score, Choice]]:
        """Every way to put one more slice on one GPU."""
        offer = gpu.shape.by_profile.get(need.profile)
        if offer is None or gpu.trouble:
            return
        fullness = sum(item.window.size for item in gpu.fixed)
        before = self.policy.value(gpu.shape, gpu.fixed)
        for start in legal_starts(offer, gpu.fixed):
            placed = Placed(Window(start, offer.size), need.profile)
            reuse = placed in gpu.warm
            if not reuse and not self._may_make(node, gpu, placed):
                continue
            gain = self.policy.value(gpu.shape, (*gpu.fixed, placed)) - before
            drops = () if reuse else self._drops(gpu, placed)
            margin = self.policy.warm_margin if reuse else 0.0
            yield _Score(gain + margin, fullness, -len(drops)), Choice(need, gpu.uuid, placed, reuse, drops)

    def _may_make(self, node: str, gpu: GpuView, placed: Placed) -> bool:
        if (node, gpu.uuid, placed.window.start) in self.avoid:
            return False
        return self.geometries.allow(gpu.model, _profiles(gpu.fixed, placed))

    def _drops(self, gpu: GpuView, placed: Placed) -> tuple[Placed, ...]:
        """The warm slices that cannot stay beside a new one: for their room, their count, or the geometry."""
        kept = [*gpu.fixed, placed]
        drops = []
        for item in gpu.warm:
            offer = gpu.shape.by_profile[item.profile]
            if fits_beside(offer, item.window.start, kept) and self.geometries.allow(gpu.model, _profiles(kept, item)):
                kept.append(item)
            else:
                drops.append(item)
        return tuple(drops)


def _profiles(placed: Iterable[Placed], more: Placed) -> list[Profile]:
    return [*(item.profile for item in placed), more.profile]


class _Search:
    """Depth first over a Pod's needs, the largest first, on one node; GPUs in equal states count once."""

    def __init__(self, placer: Placer, node: NodeView) -> None:
        self._placer = placer
        self._node = node
        self._failed = frozenset(gpu for where, gpu, _ in placer.avoid if where == node.name)
        self._steps = 0
        self._best: _Found | None = None

    def run(self, needs: Sequence[Need]) -> _Found | None:
        self._descend(sorted(needs, key=lambda need: need.profile, reverse=True), self._node.gpus, _Found())
        return self._best

    def _descend(self, needs: Sequence[Need], gpus: tuple[GpuView, ...], so_far: _Found) -> None:
        if not needs:
            if so_far.beats(self._best):
                self._best = so_far
            return
        for index, gpu in self._distinct(gpus):
            for score, choice in self._placer.options(self._node.name, gpu, needs[0]):
                if self._steps >= MAX_STEPS:
                    return
                self._steps += 1
                taken = gpu.taking(choice.placed, choice.drops)
                found = _Found(so_far.score.plus(score), (*so_far.choices, choice))
                self._descend(needs[1:], (*gpus[:index], taken, *gpus[index + 1 :]), found)

    def _distinct(self, gpus: Sequence[GpuView]) -> Iterator[tuple[int, GpuView]]:
        """One GPU of each state; where a place failed lately, that is part of the state."""
        seen = set()
        for index, gpu in enumerate(gpus):
            state = gpu.state, gpu.uuid if gpu.uuid in self._failed else ""
            if state not in seen:
                seen.add(state)
                yield index, gpu
