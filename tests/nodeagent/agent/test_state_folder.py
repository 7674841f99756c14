"""The disk under the state folder is full: told, worked on, and nothing forgotten over a kill (N12)."""

from pathlib import Path

from mig.migspec import Condition, Status
from tests.support.agenthost import AgentHost

ONE, TWO, THREE = "1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4"


def healthy(status: Status) -> Condition:
    """The condition."""
    found = status.condition("Healthy")
    assert found is not None
    return found


def fill(host: AgentHost) -> Path:
    """What the agent writes next finds no space left; unlinking what is returned frees it."""
    full = host.state_dir / "ledger.new"
    full.symlink_to("/dev/full")
    return full


async def test_a_full_disk_is_told_and_the_report_stands_in(host: AgentHost) -> None:
    """N12: killed with an old ledger on a full disk, the next agent knows what is ours from the last report."""
    host.start()
    await host.want({0: [ONE]})
    await host.until_free(0, ONE)
    full = fill(host)
    await host.want({0: [ONE, TWO]})
    await host.until_free(0, ONE, TWO)
    status = await host.until(lambda status: "No space left on device" in healthy(status).message, "told")
    assert healthy(status).status == "True"
    host.kill()
    host.sim.create_foreign(0, "3g.40gb", 4)
    host.sim.reset_calls()
    host.start()
    await host.want({0: [TWO]})
    await host.until_free(0, TWO)
    assert host.hardware(0) == {("1g.10gb", 1, True), ("3g.40gb", 4, True)}
    full.unlink()
    await host.want({0: [ONE, TWO]})
    await host.until_free(0, ONE, TWO)
    status = await host.until(lambda status: "state folder" not in healthy(status).message, "all is well again")


async def test_a_full_disk_at_the_very_first_start(host: AgentHost) -> None:
    """N12: killed between GPU instance and compute instance, nothing half-made is left, nothing foreign touched."""
    host.state_dir.mkdir()
    fill(host)
    host.sim.create_foreign(0, "1g.10gb", 6)
    host.start()
    await host.want({0: [ONE]})
    await host.until_free(0, ONE)
    host.sim.inject(function="nvmlGpuInstanceCreateComputeInstance", gpu=0, block_ms=60_000)
    host.sim.reset_calls()
    await host.want({0: [ONE, "2g.20gb@2+2"]})
    await host.until_called("nvmlGpuInstanceCreateComputeInstance")
    host.kill()
    host.sim.clear_faults()
    await host.want({0: [ONE]})
    host.start()
    await host.until(lambda _: host.hardware(0) == {("1g.10gb", 0, True), ("1g.10gb", 6, True)}, "nothing half-made")
    await host.until_free(0, ONE)
