"""A model kubelet that runs, and our half beside it; for some tests a real one, which all of them share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster import Cluster, Node
from tests.support.beside_kubelet import Beside, beside
from tests.support.model_kubelet import ModelKubelet


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short path: those of unix sockets are limited to 107 bytes."""
    return tmp_path_factory.mktemp("k")


@pytest.fixture
async def scene(folder: Path) -> AsyncIterator[Beside]:
    """Everything runs."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with beside(kubelet, folder) as running:
        yield running


@pytest.fixture(scope="session")
def clusters_node() -> Iterator[tuple[Cluster, Node]]:
    """A control plane and one real kubelet."""
    with Cluster.start(name="nos-agent") as cluster:
        yield cluster, cluster.add_node("gpu-1")
