"""An agent with nothing to do: what wakes it, what it asks the driver, and what it occupies."""

import asyncio
import time

from tests.support.agenthost import AgentHost
from tests.support.processes import Cost

GPUS = 2
RESOURCES = 2
RESYNC_S = 3.0
"""How often each GPU is read again; 30 s in the field."""

LOOK_S = 20.0
SOCKET_S = 0.5
OBSERVED_S = 8.0

READING = 8
"""Wake-ups of the event loop for one reading of the node and what follows from it: threads, the ledger, one PodResources `List`.

About four are seen; when the machine is busy, what else comes together comes one by one. A slow machine makes them no more.
"""

OTHERS_PER_S = 1
"""Lists of the kubelet (10 s), other plugins' sockets (10 s), bookmarks and heartbeats of three watches, the Node's own changes.

Some 0.4 are seen: one more loop of 4 Hz breaks the bound.
"""


async def test_an_agent_at_rest_wakes_when_its_table_says_and_asks_the_driver_no_more(host: AgentHost) -> None:
    """No loop spins: the rates are those of `docs/architecture.md`, and a resync that finds nothing new writes nothing."""
    host.start("--resync-s", str(RESYNC_S))
    await host.want({0: ["1g.10gb@0+1"], 1: ["3g.40gb@4+4"]})
    await host.until_free(0, "1g.10gb@0+1")
    await host.until_free(1, "3g.40gb@4+4")
    assert host.process is not None
    report = await _quiet_report(host)
    host.sim.reset_calls()
    before, began = Cost.of(host.process.pid), time.monotonic()
    await asyncio.sleep(OBSERVED_S)
    after, seconds = Cost.of(host.process.pid), time.monotonic() - began
    calls = host.sim.calls()
    readings = seconds / RESYNC_S + 1
    assert GPUS * (OBSERVED_S // RESYNC_S - 1) <= calls["nvmlDeviceGetMigMode"] <= GPUS * readings, calls
    processes = [count for name, count in calls.items() if "RunningProcesses" in name]
    assert max(processes, default=0) <= GPUS * (seconds / LOOK_S + 1)
    assert not {name for name in calls if any(word in name for word in ("Init", "Shutdown", "Create", "Destroy"))}
    wakes = after.loop_wakes - before.loop_wakes
    assert wakes <= seconds * (RESOURCES / SOCKET_S + OTHERS_PER_S) + READING * readings, wakes
    assert (await host.migspec()).resource_version == report


async def test_an_agent_at_rest_is_small(host: AgentHost) -> None:
    """With slices on two GPUs, of which a Pod uses one: at most 80 MB."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "2g.20gb@2+2"], 1: ["3g.40gb@4+4"]})
    await host.until_free(0, "1g.10gb@0+1", "2g.20gb@2+2")
    await host.until_free(1, "3g.40gb@4+4")
    await host.run_pod("small", "1g.10gb")
    await host.until_phase("small", "Running")
    assert host.process is not None
    resident = Cost.of(host.process.pid).resident_bytes
    assert resident <= 80e6, f"{resident / 1e6:.1f} MB"


async def _quiet_report(host: AgentHost) -> str:
    """The version of the MigSpec once a reading has brought no new one."""
    async with asyncio.timeout(60):
        while True:
            version = (await host.migspec()).resource_version
            await asyncio.sleep(RESYNC_S + 0.5)
            if (await host.migspec()).resource_version == version:
                return version
