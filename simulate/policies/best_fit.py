"""best fit: the fullest GPU on which the slice fits, at its lowest legal start.

The textbook packing rule (most allocated); it sees how much is free on a GPU, not where.
"""

from allocator.placement.states import Place, StateSpace
from simulate.policies.scan import Rank, Scan


class BestFit(Scan):
    """The fewest free memory slices, then the lowest index, then the lowest start."""

    def rank(self, space: StateSpace, state: int, kind: int, place: Place) -> Rank:  # noqa: ARG002 - wherever it fits
        """By free memory slices, fewest first."""
        return (space.free[state],)
