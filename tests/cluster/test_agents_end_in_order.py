"""A rolling upgrade of the agents: each ends at SIGTERM and another comes, while Pods keep arriving, and no Pod fails for it."""

import asyncio
import signal
import time
from typing import Any

from cluster import Child
from mig.migspec import Status
from tests.cluster.conftest import A
from tests.cluster.world import World, container, pod

ON_A = {"kubernetes.io/hostname": A}

ROUNDS = 3
EVERY_S = 0.3
"""A Pod arrives so often: some are at every step of their way when the agent is told to end."""


def short(name: str) -> dict[str, Any]:
    """A Pod that runs for a second, on node A, and is not started anew if it fails."""
    made = pod(name, nodeSelector=ON_A, restartPolicy="Never")
    made["spec"]["containers"] = [container("main", "1g.10gb", command=["sleep", "1"])]
    return made


def reason(status: Status | None) -> str:
    """Why the node is not healthy."""
    healthy = status.condition("Healthy") if status else None
    return healthy.reason if healthy else ""


async def replaced(here: World, agent: Child) -> None:
    """SIGTERM, and wait for the successor's first report."""
    starts = agent.starts
    agent.kill(signal.SIGTERM)
    await here.until(lambda: reason(here.migspec(A).status) == "AgentLeaving", "the agent says that it leaves")
    await here.poll(lambda: agent.starts > starts, "another agent")
    assert agent.returncode == 0
    await here.until(lambda: reason(here.migspec(A).status) == "Healthy", "the successor reports")


async def test_a_rolling_upgrade_fails_no_pod(here: World) -> None:
    """Pods arrive in a stream while the agent of their node is stopped and started three times: all of them run to their end."""
    names: list[str] = []
    upgraded = asyncio.Event()

    async def stream() -> None:
        while not upgraded.is_set():
            names.append(f"p{len(names)}")
            await here.create(short(names[-1]))
            await asyncio.sleep(EVERY_S)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stream())
        await here.until(lambda: len(names) > 3, "a stream of Pods")
        for _ in range(ROUNDS):
            await replaced(here, here.stack.children[f"agent-{A}"])
            await asyncio.sleep(1)  # so that some are under way again
        upgraded.set()
    began = time.monotonic()
    await here.until(
        lambda: all(here.track(name).phase in ("Succeeded", "Failed") for name in names), "all ended", timeout_s=60
    )
    phases = {name: here.track(name).phase for name in names}
    assert set(phases.values()) == {"Succeeded"}, (phases, time.monotonic() - began)
    assert len(names) > 4 * ROUNDS
