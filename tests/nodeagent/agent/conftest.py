"""One real control plane and one real kubelet for this folder; a fresh simulated node and agent for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster import Cluster
from demo.plan import node_plan
from demo.stack import Stack
from kube.client import Api
from simgpu import SimNode
from tests.support.agenthost import AgentHost

NODE = "gpu-node"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test pays for the start of the cluster."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(scope="session")
def node_stack() -> Iterator[Stack]:
    """The chart's rights and policies are in force; its webhook is not, since tests stand in for the allocator."""
    stack = Stack(Cluster.start())
    try:
        stack.add_nodes([node_plan(NODE, "a100-80gb")])
        stack.install_chart()
        stack.cluster.kubectl("delete", "mutatingwebhookconfiguration", "nos-mig")
        yield stack
    finally:
        stack.stop()


@pytest.fixture
async def host(node_stack: Stack, tmp_path: Path) -> AsyncIterator[AgentHost]:
    """An A100 and an H100, MIG on, no agent yet."""
    sim = SimNode.create(tmp_path / "sim", gpus=["a100-80gb", "h100-80gb"])
    async with Api.connect(node_stack.cluster.kubeconfig, user_agent="test") as api:
        made = AgentHost(api, node_stack, NODE, sim, tmp_path)
        try:
            yield made
        finally:
            await made.clean()
