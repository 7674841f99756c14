"""Where spec and hardware agree no call changes anything: not at a restart, an upgrade, a new term, or when claims move."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mig.migspec import SliceState
from tests.support.agenthost import AgentHost, states

THREE = ["1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4"]


async def settled(host: AgentHost) -> str:
    """Three slices, one of them used by a Pod; gives its device."""
    await host.want({0: THREE})
    await host.until_free(0, *THREE)
    await host.run_pod("runs", "3g.40gb")
    await host.until(lambda status: states(status)["3g.40gb@4"] == "Used", "used")
    await host.until_phase("runs", "Running")
    host.sim.reset_calls()
    return host.devices_of("runs")


@asynccontextmanager
async def watching(host: AgentHost, device: str) -> AsyncIterator[None]:
    """In no report meanwhile is that device anything but used by its Pod."""
    wrong: list[str] = []

    async def look() -> None:
        while True:
            status = (await host.migspec()).status
            found = [item for gpu in status.gpus for item in gpu.slices if item.uuid == device] if status else []
            if [item.state for item in found] != [SliceState.USED] or found[0].holder is None:
                wrong.append(str(found))
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
    assert not wrong


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to end"])
async def test_an_agents_successor_takes_over_as_it_is(host: AgentHost, how: signal.Signals) -> None:
    """An upgrade: the next process finds everything free or used as it was, and asks the driver for no change."""
    host.start("--drain-s", "1")
    device = await settled(host)
    first = host.process
    assert first is not None
    async with watching(host, device):
        host.start("--drain-s", "1")
        await host.until_unready("another agent runs on this node")
        first.send_signal(how)
        await host.until_ended(first, within_s=20)
        await host.until_ready()
        wanted = {"1g.10gb@0": "Free", "1g.10gb@1": "Free", "3g.40gb@4": "Used"}
        await host.until(lambda status: states(status) == wanted, "as before")
    assert host.changes() == {}
    assert host.devices_of("runs") == device


async def test_new_generations_of_equal_content_change_nothing(host: AgentHost) -> None:
    """A new term's epoch, claims that come, move and go, and readings of the GPU in between."""
    host.start("--resync-s", "0.2")
    device = await settled(host)
    async with watching(host, device):
        for epoch in range(2, 6):
            await host.want({0: THREE}, epoch=epoch)
            await host.until(lambda status: states(status)["3g.40gb@4"] == "Used", "judged")
        for pod, place in (("a", 0), ("b", 1), ("b", 0), ("a", 1)):
            await host.write_claims({0: THREE}, {f"1g.10gb@{place}+1": pod}, epoch=6)
            await host.until(lambda status: states(status)["1g.10gb@0"] == "Free", "judged")
        await host.until_called("nvmlDeviceGetMigMode", times=10)
    assert host.changes() == {}


async def test_a_migspec_made_anew_finds_its_slices(host: AgentHost) -> None:
    """S10: deleted by hand, and made again with another uid: nothing is done while it is away, nor when it is back."""
    host.start("--resync-s", "0.2")
    device = await settled(host)
    await host.delete_migspec()
    await host.until_called("nvmlDeviceGetMigMode", times=6)
    assert host.changes() == {}
    await host.want({})
    status = await host.until(lambda status: states(status).get("3g.40gb@4") == "Used", "reported to the new one")
    assert {item.uuid for gpu in status.gpus for item in gpu.slices if item.owned} >= {device}
    await host.want({0: THREE})
    await host.until(lambda status: list(states(status).values()) == ["Free", "Free", "Used"], "named again")
    assert host.changes() == {}
