"""Killed at any step beside a real kubelet, scheduler and API server, with a Pod that runs all the while (N1)."""

from dataclasses import replace

from tests.support.crash.goal import Goal, missing
from tests.support.crash.real_ground import RealGround
from tests.support.crash.to_and_fro import kill_to_and_fro

HELD, OTHER = "1g.10gb@0+1", "2g.20gb@2+2"


async def test_killed_at_any_step_of_making_and_taking_away_beside_a_running_pod(real_node: RealGround) -> None:
    """N1: a slice is made and taken away some fifty times, each time under a kill; the Pod keeps its own, and never restarts."""
    await real_node.want({0: [HELD]})
    agent = real_node.start()
    back = Goal({0: [HELD]})
    await real_node.until(lambda: missing(real_node, back, agent), what="the Pod's slice", by=agent)
    back = replace(back, held=await real_node.hold(0, HELD))
    await real_node.until(lambda: missing(real_node, back, agent), what="the Pod", by=agent)
    making, taking_away = await kill_to_and_fro(
        real_node, agent, there=replace(back, wanted={0: [HELD, OTHER]}), back=back
    )
    making.assert_all(at_least=12)
    taking_away.assert_all(at_least=20)
    assert "after nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1" in making.killed_at
    assert "after nvml-gpu-0: nvmlComputeInstanceDestroy #1" in taking_away.killed_at
