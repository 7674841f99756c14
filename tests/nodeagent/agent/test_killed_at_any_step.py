"""Killed with SIGKILL between any two calls, the next agent finishes what was begun: no orphan, nothing lost (N1)."""

import pytest

from tests.support.agenthost import AgentHost

MAKING = [
    "nvmlDeviceCreateGpuInstanceWithPlacement",  # the intent is written down, nothing is made
    "nvmlGpuInstanceGetInfo",  # a GI without CI
    "nvmlGpuInstanceCreateComputeInstance",
    "nvmlComputeInstanceGetInfo_v2",  # GI and CI, and the ledger knows no more than the intent
]
UNMAKING = ["nvmlComputeInstanceDestroy", "nvmlGpuInstanceDestroy"]


@pytest.mark.parametrize("wanted_still", [True, False], ids=["wanted", "unwanted"])
@pytest.mark.parametrize("function", MAKING)
async def test_killed_while_making(host: AgentHost, function: str, *, wanted_still: bool) -> None:
    """The slice is finished if it is still wanted, and leaves nothing behind if it is not."""
    host.start()
    await host.want({0: []})
    await host.until_free(0)
    host.sim.reset_calls()
    host.sim.inject(function=function, gpu=0, block_ms=60_000)
    await host.want({0: ["2g.20gb@2+2"]})
    await host.until_called(function)
    host.kill()
    host.sim.clear_faults()
    await host.want({0: ["2g.20gb@2+2"] if wanted_still else []})
    host.start()
    await host.until_free(0, *(["2g.20gb@2+2"] if wanted_still else []))
    assert host.hardware(0) == ({("2g.20gb", 2, True)} if wanted_still else set())


@pytest.mark.parametrize("wanted_still", [True, False], ids=["wanted again", "unwanted"])
@pytest.mark.parametrize("function", UNMAKING)
async def test_killed_while_destroying(host: AgentHost, function: str, *, wanted_still: bool) -> None:
    """Half-destroyed is either completed again or destroyed."""
    host.start()
    await host.want({0: ["2g.20gb@2+2"]})
    await host.until_free(0, "2g.20gb@2+2")
    host.sim.reset_calls()
    host.sim.inject(function=function, gpu=0, block_ms=60_000)
    await host.want({0: []})
    await host.until_called(function)
    host.kill()
    host.sim.clear_faults()
    await host.want({0: ["2g.20gb@2+2"] if wanted_still else []})
    host.start()
    await host.until_free(0, *(["2g.20gb@2+2"] if wanted_still else []))
    assert host.hardware(0) == ({("2g.20gb", 2, True)} if wanted_still else set())


async def test_killed_with_the_state_folder_lost(host: AgentHost) -> None:
    """N12: what is ours is taken over from our own last report; what is foreign stays foreign."""
    host.sim.create_foreign(0, "1g.10gb", 6)
    host.start()
    await host.want({0: ["2g.20gb@2+2", "1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1", "2g.20gb@2+2")
    host.kill()
    (host.state_dir / "ledger.json").unlink()
    await host.want({0: ["1g.10gb@0+1"]})
    host.start()
    await host.until_free(0, "1g.10gb@0+1")
    assert host.hardware(0) == {("1g.10gb", 0, True), ("1g.10gb", 6, True)}


async def test_an_unwritable_state_folder_is_told_and_works(host: AgentHost) -> None:
    """N12: the report stands in for the ledger, also when the agent is killed between GI and CI."""
    host.state_dir.write_text("a file where the folder should be")
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    status = await host.until(lambda _: True, "a report")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert healthy.status == "True"
    assert "the state folder cannot be used" in healthy.message
    host.sim.reset_calls()
    host.sim.inject(function="nvmlGpuInstanceCreateComputeInstance", gpu=0, block_ms=60_000)
    await host.want({0: ["1g.10gb@0+1", "2g.20gb@2+2"]})
    await host.until_called("nvmlGpuInstanceCreateComputeInstance")
    host.kill()
    host.sim.clear_faults()
    host.start()
    await host.until_free(0, "1g.10gb@0+1", "2g.20gb@2+2")
