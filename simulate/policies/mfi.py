"""MFI, minimum fragmentation increment: the place after which the least windows of all profiles are broken.

After Zambianco, Fasol and Doriguzzi-Corin, "An Online Fragmentation-Aware GPU Scheduler for Multi-Tenant MIG-based Clouds"
(arXiv 2511.18906). The score of a GPU adds, over every profile that its free memory slices could hold by number and over every
start of that profile, the profile's memory slices wherever an occupied slice stands in its window; each request goes where that
score grows least, the first by index and start among equals. No demand mix enters: the policy is agnostic of the workload.

Left to reading is whether profiles larger than the free room count, too. Not counting them is what fragmentation means (room that
is there and cannot be used); counting them (`MfiAll`) accepts more, so both stand here.
"""

from allocator.placement.states import Place, StateSpace
from simulate.policies.scan import Rank, Scan


class Mfi(Scan):
    """The least growth of the fragmentation score, then the lowest index, then the lowest start."""

    def rank(self, space: StateSpace, state: int, kind: int, place: Place) -> Rank:  # noqa: ARG002 - all kinds alike
        """By growth of the score."""
        return (self.score(space, place[1]) - self.score(space, state),)

    def score(self, space: StateSpace, state: int) -> int:
        """Memory slices of the profiles' windows that something stands in, of profiles that count."""
        occupied = {cell for start, size in space.windows(state) for cell in range(start, start + size)}
        return sum(
            offer.size
            for offer in space.shape.offers
            if not offer.profile.attributes and offer.size <= self.largest(space, state)
            for start in offer.starts
            if not occupied.isdisjoint(range(start, start + offer.size))
        )

    def largest(self, space: StateSpace, state: int) -> int:
        """The memory slices of the largest profile that counts."""
        return space.free[state]


class MfiAll(Mfi):
    """The same with every profile counted, also where the free room is too small for it."""

    def largest(self, space: StateSpace, state: int) -> int:  # noqa: ARG002 - whatever is free
        """The whole GPU."""
        return space.shape.width
