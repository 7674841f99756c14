"""Spread: the emptiest GPU first, as a scheduler does that balances load over devices (least allocated).

The opposite of packing, and the default of several device schedulers.
"""

from allocator.placement.states import Place, StateSpace
from simulate.policies.scan import Rank, Scan


class Spread(Scan):
    """The most free memory slices, then the lowest index, then the lowest start."""

    def rank(self, space: StateSpace, state: int, kind: int, place: Place) -> Rank:  # noqa: ARG002 - wherever it fits
        """By free memory slices, most first."""
        return (-space.free[state],)
