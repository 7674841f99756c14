"""Placement as its documents say it, by looking at everything: what the engine is held against.

Legality is that of `mig.occupancy` and `mig.geometries`, not of the state spaces; nothing is kept, sorted in advance or cut short.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from allocator.placement.fleet import GpuView, NodeView
from allocator.placement.mix import Mix
from allocator.placement.policy import Policy
from allocator.placement.states import StateSpace, space_of
from mig.geometries import Geometries, Geometry
from mig.occupancy import Placed, fits_beside
from mig.placements import GpuShape, Window
from mig.profiles import Profile

BILLION = 1e9


class Spot(NamedTuple):
    """A place. Smaller is better: the documented order, best first."""

    score: float
    used: int
    cost: int
    key: tuple[float, str, int]
    start: int
    reuse: bool
    gpu: str
    drops: frozenset[Placed]


@dataclass(frozen=True)
class Mind:
    """What decides beside the fleet."""

    policy: Policy
    mix: Mix
    geometries: Geometries

    def space(self, gpu: GpuView) -> StateSpace:
        """The states of a GPU."""
        return space_of(gpu.shape, self.geometries.for_model(gpu.model))

    def value(self, gpu: GpuView, layout: Iterable[Placed]) -> int:
        """What the policy says of a GPU with these slices, in billionths."""
        space = self.space(gpu)
        return value_of(self.policy, self.mix, space, space.of(layout))

    def margin(self, gpu: GpuView) -> int:
        """By how much a warm slice may be worse."""
        return round(self.policy.warm_margin(self.space(gpu)) * BILLION)

    def scales(self, gpus: Iterable[GpuView]) -> Mapping[int, float]:
        """By `id` of a space: what makes gains of different grids comparable."""
        spaces = {id(self.space(gpu)): gpu for gpu in gpus}
        if len(spaces) == 1:
            return dict.fromkeys(spaces, 1)
        return {
            space: BILLION / usual_gain(self.policy, self.mix, gpu.shape, self.space(gpu).allowed)
            for space, gpu in spaces.items()
        }

    def allows(self, gpu: GpuView, layout: Sequence[Placed]) -> bool:
        """Whether the geometries do."""
        return self.geometries.allow(gpu.model, (item.profile for item in layout))

    def fits(self, gpu: GpuView, layout: Sequence[Placed], item: Placed) -> bool:
        """Whether one more slice may lie beside these."""
        offer = gpu.shape.by_profile.get(item.profile)
        return (
            offer is not None
            and offer.size == item.window.size
            and fits_beside(offer, item.window.start, layout)
            and self.allows(gpu, (*layout, item))
        )

    def drops(self, gpu: GpuView, layout: Sequence[Placed], warm: Iterable[Placed]) -> tuple[int, frozenset[Placed]]:
        """The warm slices that go, and the demand for them: the likeliest to be asked for stay."""
        kinds = {offer.profile: kind for kind, offer in enumerate(gpu.shape.offers)}
        shares = self.mix.shares(gpu.shape)
        stay, cost, gone = list(layout), 0, set()
        for item in sorted(warm, key=lambda it: (-shares[kinds[it.profile]], kinds[it.profile], it.window.start)):
            if self.fits(gpu, stay, item):
                stay.append(item)
            else:
                gone.add(item)
                cost += round(shares[kinds[item.profile]] * BILLION)
        return cost, frozenset(gone)


def value_of(policy: Policy, mix: Mix, space: StateSpace, state: int) -> int:
    """In billionths."""
    constant, *by_kind = policy.terms(space, state)
    shares = mix.shares(space.shape)
    return round(sum((constant, *(share * term for share, term in zip(shares, by_kind, strict=True)))) * BILLION)


@cache
def usual_gain(policy: Policy, mix: Mix, shape: GpuShape, allowed: tuple[Geometry, ...] | None) -> float:
    """The mean size of a gain over all moves from states that a GPU can reach, in billionths."""
    space = StateSpace(shape, allowed)
    space.explore()
    gains = [
        abs(value_of(policy, mix, space, after) - value_of(policy, mix, space, state))
        for state in range(len(space))
        for kind in range(len(shape.offers))
        for _, after in space.places(state, kind)
    ]
    return max(1.0, sum(gains) / max(1, len(gains)))


def spots(
    mind: Mind,
    fleet: Iterable[NodeView],
    profile: Profile,
    *,
    avoid: frozenset[tuple[str, str, int]] = frozenset(),
) -> list[Spot]:
    """Every place for one slice on these nodes, best first."""
    nodes = list(fleet)
    scales = mind.scales(gpu for node in nodes for gpu in node.gpus if profile in gpu.shape.by_profile)
    return sorted(
        spot
        for node in nodes
        for index, gpu in enumerate(node.gpus)
        for spot in _on_gpu(mind, gpu, profile, (-node.room, node.name, index), scales)
        if spot.reuse or (node.name, gpu.uuid, spot.start) not in avoid
    )


def _on_gpu(
    mind: Mind, gpu: GpuView, profile: Profile, key: tuple[float, str, int], scales: Mapping[int, float]
) -> Iterator[Spot]:
    offer = gpu.shape.by_profile.get(profile)
    if offer is None or gpu.trouble:
        return
    before, scale = mind.value(gpu, gpu.fixed), scales[id(mind.space(gpu))]
    used = sum(item.window.size for item in gpu.fixed)
    for start in offer.starts:
        item = Placed(Window(start, offer.size), profile)
        if not mind.fits(gpu, gpu.fixed, item):
            continue
        reuse = item in gpu.warm
        gain = mind.value(gpu, (*gpu.fixed, item)) - before + reuse * mind.margin(gpu)
        cost, gone = (0, frozenset[Placed]()) if reuse else mind.drops(gpu, (*gpu.fixed, item), gpu.warm)
        yield Spot(-gain * scale, -used, cost, key, start, reuse, gpu.uuid, gone)
