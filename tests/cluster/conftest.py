"""One stack for all tests on the real control plane; each test has a namespace of its own and must leave no claim behind."""

import re
import zlib
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from demo import stack as stacks
from demo.plan import node_plan
from demo.stack import Stack
from tests.cluster.world import World, world

A, B = "node-a", "node-b"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test pays for the start of the cluster."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Two nodes with two GPUs each, webhook, two allocators, agents; no latencies."""
    plans = [node_plan(A, "a100-80gb", "a100-80gb"), node_plan(B, "h100-80gb", "h100-80gb")]
    with stacks.running(plans, allocators=2) as running:
        yield running


@pytest.fixture
async def here(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The world of one test."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    async with world(stack, f"{words}-{zlib.crc32(request.node.nodeid.encode()) % 10000}") as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the ends of our processes' logs."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(running, Stack):
        for name in running.children:
            report.sections.append((f"log of {name}", running.log_tail(name, 40)))
    return report
