"""A real control plane with one node for agents.

The chart's rights and policies are in force, its webhook is not, since tests stand in for the allocator.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster import Cluster
from demo.plan import node_plan
from demo.stack import Stack

NODE = "gpu-node"


@contextmanager
def agent_stack() -> Iterator[Stack]:
    """One running stack."""
    stack = Stack(Cluster.start())
    try:
        stack.add_nodes([node_plan(NODE, "a100-80gb")])
        stack.install_chart()
        stack.cluster.kubectl("delete", "mutatingwebhookconfiguration", "nos-mig")
        yield stack
    finally:
        stack.stop()
