"""The process that agents are forked from, a maker of fresh model nodes, each for one kill, and one real node."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from demo.stack import Stack
from kube.client import Api
from simgpu import SimNode
from tests.support.agenthost import AgentHost
from tests.support.agentstack import NODE, agent_stack
from tests.support.crash.agents import ForkServer
from tests.support.crash.enumeration import Make, MakeNodes
from tests.support.crash.ground import Ground
from tests.support.crash.model_ground import model_ground
from tests.support.crash.real_ground import RealGround


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test kills up to a hundred agents; a slow machine may take several times as long as a fast one."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """One for the whole folder."""
    server = ForkServer.start(SimNode.create(tmp_path_factory.mktemp("f") / "sim"))
    yield server
    server.stop()


@pytest.fixture
def nodes_of(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> MakeNodes:
    """Paths of unix sockets must be short."""
    folder = tmp_path_factory.mktemp("c")
    numbers = itertools.count(1)

    def of(*gpus: str) -> Make:
        def one() -> AbstractAsyncContextManager[Ground]:
            number = next(numbers)
            (folder / str(number)).mkdir()
            return model_ground(folder / str(number), name=f"{folder.name}-{number}", gpus=gpus, forks=forks)

        return one

    return of


@pytest.fixture(scope="module")
def node_stack() -> Iterator[Stack]:
    """A real control plane and kubelet."""
    with agent_stack() as stack:
        yield stack


@pytest.fixture
async def real_node(forks: ForkServer, node_stack: Stack, tmp_path: Path) -> AsyncIterator[RealGround]:
    """Its node with an A100, no agent yet."""
    sim = SimNode.create(tmp_path / "sim", gpus=["a100-80gb"])
    async with Api.connect(node_stack.cluster.kubeconfig, user_agent="test") as api:
        host = AgentHost(api, node_stack, NODE, sim, tmp_path)
        ground = RealGround(host, forks)
        try:
            yield ground
        finally:
            await ground.close()
            await host.clean()
