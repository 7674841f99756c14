"""The planner of nos: a GPU is cut by one of the known geometries as a whole, and anew only when no free slice serves.

From the public sources of nos (2023). A Pod first takes a slice that is already cut and free. Where there is none, the planner goes
through the nodes and their GPUs and applies, to the first GPU that can, a known geometry that keeps every slice in use and adds
one of the profile. Nothing else is weighed: not what the new cut takes away, not how full the GPU is. Its nodes and its equally
good geometries come out of maps without an order; here they are drawn by lot. It knows counts and no places; we grant it what
its agent had to try out, that a geometry is only chosen where it can be laid out around the slices in use. Its own list lacked
`1g.20gb` and `+me`; we grant it every maximal geometry of plain profiles.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from random import Random

from mig.occupancy import Placed, legal_starts, maximal_layouts
from mig.placements import GpuShape, Window
from mig.profiles import Profile
from simulate.placer import Spot

Geometry = tuple[Profile, ...]
"""The slices that a GPU is cut into, each as often as it is there, the largest first."""

Layout = frozenset[Placed]


class Nos:
    """A free slice on a node by lot; else, on a node by lot, the first GPU that can be cut anew."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8, seed: int = 0) -> None:
        self._shapes = tuple(shapes)
        self._nodes = [range(first, min(first + per_node, len(shapes))) for first in range(0, len(shapes), per_node)]
        self._rng = Random(seed)  # noqa: S311 - no secret hangs on it
        self._used: list[Layout] = [frozenset()] * len(shapes)
        self._free: list[Layout] = [frozenset()] * len(shapes)
        # What a GPU is known to have no free slice of, and what it cannot be cut for, until something changes on it.
        self._none_free: list[set[Profile]] = [set() for _ in shapes]
        self._no_cut: list[set[Profile]] = [set() for _ in shapes]

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:  # noqa: ARG002 - no clock
        """Take a free slice, cutting a GPU anew if need be; None where no known geometry has one more anywhere."""
        gpus = [gpu for node in self._rng.sample(self._nodes, len(self._nodes)) for gpu in node]
        for gpu in gpus:
            if profile not in self._none_free[gpu]:
                fitting = [placed for placed in self._free[gpu] if placed.profile == profile]
                if fitting:
                    return self._take(gpu, min(fitting), reused=True)
                self._none_free[gpu].add(profile)
        for gpu in gpus:
            if profile not in self._no_cut[gpu]:
                cuts = recuts(self._shapes[gpu], self._used[gpu], profile)
                if cuts:
                    self._free[gpu] = self._rng.choice(cuts) - self._used[gpu]
                    fitting = [placed for placed in self._free[gpu] if placed.profile == profile]
                    return self._take(gpu, min(fitting), reused=False)
                self._no_cut[gpu].add(profile)
        return None

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - no clock
        """A slice is free again, and stays as it is cut."""
        self._used[spot.gpu] -= {spot.placed}
        self._free[spot.gpu] |= {spot.placed}
        self._changed(spot.gpu)

    def _take(self, gpu: int, placed: Placed, *, reused: bool) -> Spot:
        self._free[gpu] -= {placed}
        self._used[gpu] |= {placed}
        self._changed(gpu)
        return Spot(gpu, placed, reused)

    def _changed(self, gpu: int) -> None:
        self._none_free[gpu].clear()
        self._no_cut[gpu].clear()


@cache
def known_geometries(shape: GpuShape) -> tuple[Geometry, ...]:
    """Every maximal set of plain profiles on a GPU, the largest slices first."""
    plain = GpuShape(shape.width, tuple(offer for offer in shape.offers if not offer.profile.attributes))
    geometries = {
        tuple(sorted((placed.profile for placed in layout), reverse=True)) for layout in maximal_layouts(plain)
    }
    return tuple(sorted(geometries, reverse=True))


@cache
def recuts(shape: GpuShape, used: Layout, profile: Profile) -> tuple[Layout, ...]:
    """A GPU's layouts by each known geometry that keeps the slices in use and has one more of a profile."""
    wanted = Counter(placed.profile for placed in used)
    wanted[profile] += 1
    layouts = []
    for geometry in known_geometries(shape):
        counts = Counter(geometry)
        if all(counts[each] >= count for each, count in wanted.items()):
            counts.subtract(placed.profile for placed in used)
            layout = _laid_out(shape, tuple(sorted(used)), sorted(counts.elements(), reverse=True))
            if layout is not None:
                layouts.append(layout)
    return tuple(layouts)


def _laid_out(shape: GpuShape, placed: tuple[Placed, ...], missing: Sequence[Profile]) -> Layout | None:
    """The slices with the missing ones added, each at the lowest start that leaves room for the rest."""
    if not missing:
        return frozenset(placed)
    offer = shape.by_profile[missing[0]]
    for start in legal_starts(offer, placed):
        layout = _laid_out(shape, (*placed, Placed(Window(start, offer.size), offer.profile)), missing[1:])
        if layout is not None:
            return layout
    return None
