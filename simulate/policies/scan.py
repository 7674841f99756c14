"""The form of most policies: look at every GPU and take the best, by a rank that depends on the GPU's state alone.

What is best on a GPU of one state is worked out once and kept, so that a look costs a list access and a comparison. Equal ranks
go to the GPU of the lowest index, and on one GPU to the lowest start. A policy that is one file supplies `rank`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from allocator.placement.states import Place, StateSpace
from mig.occupancy import Placed
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.placer import Spot
from simulate.policies.fleet import Fleet

Rank = tuple[float, ...]
"""How good a place is; the lowest wins."""

_Best = tuple[Rank, Place]


class Scan(ABC):
    """A `Placer` that takes the place of the lowest rank in the whole fleet."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8) -> None:
        self._fleet = Fleet(shapes, per_node=per_node)
        # By group and kind, a list by state: a GPU's best place. A space may still grow.
        self._known: dict[tuple[int, int], list[_Best | None]] = {}

    @abstractmethod
    def rank(self, space: StateSpace, state: int, kind: int, place: Place) -> Rank:
        """How good it is that a GPU in a state takes a slice of a kind there."""

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:  # noqa: ARG002 - no clock
        """Take the best place of the fleet, or None where the profile fits nowhere."""
        best: _Best | None = None
        best_gpu = -1
        states = self._fleet.states
        for group, (space, gpus) in enumerate(self._fleet.groups):
            kind = space.kinds.get(profile)
            if kind is None:
                continue
            known = self._known.setdefault((group, kind), [])
            if len(known) < len(space):
                known.extend(self._best(space, state, kind) for state in range(len(known), len(space)))
            for gpu in gpus:
                entry = known[states[gpu]]
                if entry and (best is None or entry[0] < best[0] or (entry[0] == best[0] and gpu < best_gpu)):
                    best, best_gpu = entry, gpu
        return None if best is None else self._fleet.take(best_gpu, profile, best[1])

    def hold(self, gpu: int, placed: Iterable[Placed]) -> None:
        """Begin with these slices on a GPU."""
        self._fleet.hold(gpu, placed)

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - no clock
        """A slice has ended; its room is free at once."""
        self._fleet.drop(spot)

    def _best(self, space: StateSpace, state: int, kind: int) -> _Best | None:
        return min(((self.rank(space, state, kind, place), place) for place in space.places(state, kind)), default=None)
