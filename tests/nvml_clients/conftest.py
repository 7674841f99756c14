"""A node with GPUs of every kind, and our agent's view of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simgpu import SimNode
from tests.support.driverprocess import DriverProcess


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    """Grids of 8, 8, 4 and 12 memory slices; a GPU whose MIG mode is off; one that has none."""
    gpus = ["a100-80gb", "h100-80gb", "a30-24gb", "rtx-pro-6000-96gb", "h200-141gb", "l40s"]
    return SimNode.create(tmp_path / "node", gpus=gpus, mig_enabled=[True, True, True, True, False, False])


@pytest.fixture
def driver(node: SimNode) -> Iterator[DriverProcess]:
    """The driver as our agent sees it, its session open."""
    driver = DriverProcess(node)
    driver.start()
    yield driver
    driver.kill()


@pytest.fixture
def workloads() -> Iterator[list[int]]:
    """Ids of three processes that live as long as the test."""
    processes = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(3)]
    yield [process.pid for process in processes]
    for process in processes:
        process.kill()
        process.wait()
