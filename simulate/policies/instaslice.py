"""InstaSlice (the dynamic accelerator slicer of OpenShift): the node with the most free slices, there the first GPU and start.

From its public sources: the scheduler plugin scores a node by the share of its memory slices that are free, and its filter has
already chosen, on each node, the first GPU in order on which the profile has a free start, and the first such start. (The operator
before it took the first node by name instead; that is first fit.)
"""

from collections.abc import Sequence

from simulate.policies.node_first import NodeFirst


class InstaSlice(NodeFirst):
    """The most free memory slices on the node, then the lowest node, the first GPU, the lowest start."""

    def choose(self, nodes: Sequence[int]) -> int:
        """The emptiest node."""
        return max(nodes, key=self._fleet.free_share)
