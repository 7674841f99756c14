"""A node in a folder of its own, and as many client processes on it as a test wants."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simgpu import SimNode
from tests.simgpu.nvml import Nvml

Connect = Callable[[SimNode], Nvml]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Start a client process of the node, with NVML initialised."""
    clients: list[Nvml] = []

    def start(node: SimNode) -> Nvml:
        clients.append(Nvml(node.environment()))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def a100(tmp_path: Path) -> SimNode:
    """One A100 with 80 GB, MIG on."""
    return SimNode.create(tmp_path / "a100", gpus=["a100-80gb"])


@pytest.fixture
def h100(tmp_path: Path) -> SimNode:
    """One H100 with 80 GB, MIG on."""
    return SimNode.create(tmp_path / "h100", gpus=["h100-80gb"])


@pytest.fixture
def workload() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing for as long as the test lasts."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()
