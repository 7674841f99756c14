"""A node with GPUs of every kind, and our agent's view of it."""

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
