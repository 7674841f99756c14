"""A driver that says in-use for a while after a process ended is waited for, and nobody else waits with it (N2)."""

import os

from mig.migspec import SliceState, Status
from tests.support.agenthost import AgentHost, slices

IN_USE_FOR_MS = 700


async def test_a_slice_goes_when_the_driver_lets_go_of_it(host: AgentHost) -> None:
    """N2: the process is over by its list and still holds the device; tried again with back-off, nothing is forced."""
    host.sim.linger(IN_USE_FOR_MS)
    host.start("--resync-s", "0.5")
    await host.want({0: ["1g.10gb@0+1"]})
    (free,) = await host.until_free(0, "1g.10gb@0+1")
    host.sim.hold(free.uuid, os.getpid())
    await host.want({0: [], 1: []})
    used = await host.until(
        lambda status: [item.state for item in slices(status, host.sim.gpus[0].uuid)] == [SliceState.USED], "used"
    )
    assert f"processes {os.getpid()} still compute there" in str(used)
    assert "nvmlGpuInstanceDestroy" not in host.changes()
    host.sim.release(os.getpid())
    await host.want({0: [], 1: ["3g.40gb@4+4"]})

    def other_is_served(status: Status) -> bool:
        return [item.state for item in slices(status, host.sim.gpus[1].uuid)] == [SliceState.FREE]

    await host.until(other_is_served, "the other GPU is not held up")
    await host.until_free(0)
    assert host.hardware(0) == set()
    _, metrics = await host.get("/metrics")
    assert 'nos_mig_agent_steps_total{outcome="ok",step="destroy"} 1.0' in metrics
