"""The tables of one policy as the demand mix moves: one a space, made anew only when the mix has moved enough to matter.

Making one costs a millisecond or two; a mix that is learned moves a little with every arrival and back again.
"""

from typing import Final

from allocator.placement.mix import Mix
from allocator.placement.policy import Policy
from allocator.placement.states import StateSpace
from allocator.placement.table import Table

MOVED: Final = 0.025
"""The share of demand that must have changed. Source: own runs on 100 GPUs, where tables that follow at 0.02 to 0.03 accept as many
slices as tables that follow each arrival."""


class Tables:
    """`of` gives a space's table; `follow` says whether those are others now."""

    def __init__(self, policy: Policy, mix: Mix) -> None:
        self.policy = policy
        self.mix = mix
        self._tables: dict[int, Table] = {}

    def of(self, space: StateSpace) -> Table:
        """The table of a space, with all states that the space has by now."""
        known = self._tables.get(id(space))
        if known is None or known.size < len(space):
            space.explore()
            known = self._tables[id(space)] = Table(space, self.policy, self.mix.shares(space.shape))
        return known

    def follow(self, mix: Mix) -> bool:
        """Take a newer mix into account; True where it is so far from that of the tables that these are void now."""
        if mix is self.mix or mix.distance(self.mix) < MOVED:
            return False
        self.mix = mix
        self._tables.clear()
        return True
