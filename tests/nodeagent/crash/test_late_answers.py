"""What the next agent learns late it tells at once."""

from tests.support.crash.enumeration import MakeNodes
from tests.support.crash.goal import Goal, missing

UNKNOWN = 999
"""NVML_ERROR_UNKNOWN."""


async def test_a_process_list_that_comes_late_is_no_matter_of_the_next_resync(nodes_of: MakeNodes) -> None:
    """N1: silent slices are Free once the driver's process lists were read, which a restarted agent may get at its second try."""
    goal = Goal({0: ["1g.10gb@0+1"]})
    async with nodes_of("a100-80gb")() as node:
        await node.want(goal.wanted)
        first = node.start()
        await node.until(lambda: missing(node, goal, first), what="a slice", by=first)
        await first.kill()
        node.sim.inject(function="nvmlDeviceGetComputeRunningProcesses_v3", code=UNKNOWN, times=1)
        second = node.start()
        await node.until(lambda: missing(node, goal, second), what="the same slice", by=second)
