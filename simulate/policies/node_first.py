"""The form of policies that choose a node first: then its first GPU on which the slice fits takes it, at the lowest legal start.

So do systems in which a scheduler picks the node and something else, later or without a say, the device. A policy that is one file
supplies `choose`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from mig.occupancy import Placed
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.placer import Spot
from simulate.policies.fleet import Fleet


class NodeFirst(ABC):
    """A `Placer` that takes the first fit on the node of its choice."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8) -> None:
        self._fleet = Fleet(shapes, per_node=per_node)

    @abstractmethod
    def choose(self, nodes: Sequence[int]) -> int:
        """One of the nodes on which the slice fits; ascending, never empty."""

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:  # noqa: ARG002 - no clock
        """Take the first place of the chosen node, or None where the profile fits nowhere."""
        first = self._fleet.first_fits(profile)
        if not first:
            return None
        gpu = first[self.choose(tuple(first))]
        return self._fleet.take(gpu, profile, self._fleet.places(gpu, profile)[0])

    def hold(self, gpu: int, placed: Iterable[Placed]) -> None:
        """Begin with these slices on a GPU."""
        self._fleet.hold(gpu, placed)

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - no clock
        """A slice has ended; its room is free at once."""
        self._fleet.drop(spot)
