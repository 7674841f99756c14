"""A fleet of GPUs as numbers, for policies that look at every GPU.

Each GPU is a state of its `StateSpace`; GPUs of equal shape share one. A node is `per_node` GPUs in a row, the last may have
fewer. The fleet knows what lies where and nothing of what is good.
"""

from collections.abc import Iterable, Sequence

from allocator.placement.states import EMPTY, Place, StateSpace, space_of
from mig.occupancy import Placed
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.placer import Spot


class Fleet:
    """GPUs by index: `states[gpu]` is a state of `spaces[gpu]`."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8) -> None:
        self.spaces: list[StateSpace] = [space_of(shape) for shape in shapes]
        self.states: list[int] = [EMPTY] * len(shapes)
        self.per_node = per_node
        self._on_node = [
            sum(shape.width for shape in shapes[first : first + per_node]) for first in range(0, len(shapes), per_node)
        ]
        self._free_on_node = list(self._on_node)
        self.groups: list[tuple[StateSpace, range | list[int]]] = self._grouped()
        """Each space with the GPUs that are in it, ascending."""
        # By group and kind, a byte by state: whether one more fits. A space may still grow.
        self._fits: dict[tuple[int, int], bytearray] = {}

    def hold(self, gpu: int, placed: Iterable[Placed]) -> None:
        """Begin with these slices on a GPU that is empty so far."""
        self.states[gpu] = self.spaces[gpu].of(placed)
        self._free_on_node[gpu // self.per_node] -= (
            self.spaces[gpu].shape.width - self.spaces[gpu].free[self.states[gpu]]
        )

    def free_share(self, node: int) -> float:
        """The share of a node's memory slices that are free."""
        return self._free_on_node[node] / self._on_node[node]

    def first_fits(self, profile: Profile) -> dict[int, int]:
        """The first GPU on each node on which one more slice has a legal start, by node, ascending."""
        first: dict[int, int] = {}
        states, per_node = self.states, self.per_node
        for group, (space, gpus) in enumerate(self.groups):
            kind = space.kinds.get(profile)
            if kind is None:
                continue
            fits = self._fits.setdefault((group, kind), bytearray())
            if len(fits) < len(space):
                fits.extend(bool(space.places(state, kind)) for state in range(len(fits), len(space)))
            for gpu in gpus:
                if fits[states[gpu]]:
                    node = gpu // per_node
                    if first.get(node, gpu) >= gpu:
                        first[node] = gpu
        return first if len(self.groups) == 1 else dict(sorted(first.items()))

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
        self._free_on_node[gpu // self.per_node] -= placed.window.size
        return Spot(gpu, placed, reused)

    def drop(self, spot: Spot) -> None:
        """A slice is gone."""
        gpu = spot.gpu
        self.states[gpu] = self.spaces[gpu].without(self.states[gpu], spot.placed)
        self._free_on_node[gpu // self.per_node] += spot.placed.window.size

    def _grouped(self) -> list[tuple[StateSpace, range | list[int]]]:
        members: dict[int, list[int]] = {}
        for gpu, space in enumerate(self.spaces):
            members.setdefault(id(space), []).append(gpu)
        if len(members) == 1:
            return [(self.spaces[0], range(len(self.spaces)))]
        return [(self.spaces[gpus[0]], gpus) for gpus in members.values()]
