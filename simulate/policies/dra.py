"""DRA, dynamic resource allocation as Kubernetes schedules it: any node that fits, there the first device in the driver's list.

From the scheduler's public sources: the plugin for resource claims filters nodes and scores none, so among nodes that are equal
otherwise one is drawn by lot; the allocator then takes the first device that satisfies the claim, in the order in which the
driver lists its partitionable devices: by GPU, and for a profile by start.
"""

from collections.abc import Sequence
from random import Random

from mig.placements import GpuShape
from simulate.policies.node_first import NodeFirst


class Dra(NodeFirst):
    """A node by lot among those that fit, then the first GPU, the lowest start."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8, seed: int = 0) -> None:
        super().__init__(shapes, per_node=per_node)
        self._rng = Random(seed)  # noqa: S311 - no secret hangs on it

    def choose(self, nodes: Sequence[int]) -> int:
        """Any node, each as likely."""
        return self._rng.choice(nodes)
