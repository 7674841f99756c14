"""First fit: the first GPU by index on which the slice fits, at the lowest legal start.

What a system does that has no opinion: the order of the list decides. The textbook baseline of bin packing.
"""

from allocator.placement.states import Place, StateSpace
from simulate.policies.scan import Rank, Scan


class FirstFit(Scan):
    """The lowest index, then the lowest start."""

    def rank(self, space: StateSpace, state: int, kind: int, place: Place) -> Rank:  # noqa: ARG002 - all GPUs are equally good
        """Every GPU is as good as another."""
        return ()
