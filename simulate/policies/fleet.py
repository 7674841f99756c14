"""A fleet of GPUs as numbers, for policies that look at every GPU.

Each GPU is a state of its `StateSpace`; GPUs of equal shape share one. A node is `per_node` GPUs in a row, the last may have
fewer. The fleet knows what lies where and nothing of what is good.
"""

from collections.abc import Sequence

from allocator.placement.states import EMPTY, StateSpace, space_of
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.placer import Spot

Place = tuple[int, int]
"""A legal start on a GPU, and the GPU's state after a slice was put there."""


class Fleet:
    """GPUs by index: `states[gpu]` is a state of `spaces[gpu]`."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8) -> None:
        self.spaces: list[StateSpace] = [space_of(shape) for shape in shapes]
        self.states: list[int] = [EMPTY] * len(shapes)
        self.per_node = per_node
        self.free_on_node: list[int] = [
            sum(shape.width for shape in shapes[first : first + per_node]) for first in range(0, len(shapes), per_node)
        ]
        """Free memory slices by node."""
        self.groups: list[tuple[StateSpace, range | list[int]]] = self._grouped()
        """Each space with the GPUs that are in it, ascending."""

    def gpus_of(self, node: int) -> range:
        """The GPUs of a node."""
        first = node * self.per_node
        return range(first, min(first + self.per_node, len(self.states)))

    def first_place(self, gpu: int, profile: Profile) -> Place | None:
        """The lowest legal start for one more slice on a GPU."""
        places = self.places(gpu, profile)
        return places[0] if places else None

    def places(self, gpu: int, profile: Profile) -> tuple[Place, ...]:
        """Every legal start for one more slice on a GPU, ascending."""
        space = self.spaces[gpu]
        kind = space.kinds.get(profile)
        return () if kind is None else space.places(self.states[gpu], kind)

    def take(self, gpu: int, profile: Profile, place: Place, *, reused: bool = False) -> Spot:
        """Put a slice at a legal place."""
        start, after = place
        placed = self.spaces[gpu].placed[self.spaces[gpu].kinds[profile]][start]
        self.states[gpu] = after
        self.free_on_node[gpu // self.per_node] -= placed.window.size
        return Spot(gpu, placed, reused)

    def drop(self, spot: Spot) -> None:
        """A slice is gone."""
        gpu = spot.gpu
        self.states[gpu] = self.spaces[gpu].without(self.states[gpu], spot.placed)
        self.free_on_node[gpu // self.per_node] += spot.placed.window.size

    def _grouped(self) -> list[tuple[StateSpace, range | list[int]]]:
        members: dict[int, list[int]] = {}
        for gpu, space in enumerate(self.spaces):
            members.setdefault(id(space), []).append(gpu)
        if len(members) == 1:
            return [(self.spaces[0], range(len(self.spaces)))]
        return [(self.spaces[gpus[0]], gpus) for gpus in members.values()]
