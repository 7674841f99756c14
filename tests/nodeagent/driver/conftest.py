"""Simulated nodes, and driver processes on them that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simgpu import SimNode
from tests.support.driverprocess import DriverProcess

Start = Callable[[SimNode | None], DriverProcess]


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    """An A100 and an H100, MIG on."""
    return SimNode.create(tmp_path / "node", gpus=["a100-80gb", "h100-80gb"])


@pytest.fixture
def start() -> Iterator[Start]:
    """Start driver processes."""
    processes: list[DriverProcess] = []

    def one(node: SimNode | None) -> DriverProcess:
        processes.append(DriverProcess(node))
        return processes[-1]

    yield one
    for process in processes:
        process.kill()


@pytest.fixture
def driver(node: SimNode, start: Start) -> DriverProcess:
    """A driver on the node, its session open."""
    driver = start(node)
    driver.start()
    return driver
