"""One real control plane and one real kubelet for this folder; a fresh simulated node and agent for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from demo.stack import Stack
from kube.client import Api
from simgpu import SimNode
from tests.support.agenthost import AgentHost
from tests.support.agentstack import NODE, agent_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test pays for the start of the cluster."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(scope="session")
def node_stack() -> Iterator[Stack]:
    """One for the whole folder."""
    with agent_stack() as stack:
        yield stack


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
