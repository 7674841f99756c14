"""Killed again at any step of its start, with half-done work to put right, the third agent still puts it right (N1)."""

from tests.support.crash.enumeration import Change, MakeNodes, kill_at_every_step

USED, NEW = "1g.6gb@0+1", "2g.12gb@2+2"


async def test_killed_at_any_step_of_a_start_that_finds_a_half_made_slice(nodes_of: MakeNodes) -> None:
    """N1: from the session's opening over discovery, a GI without CI, and a Pod's slice, to the finished report."""
    change = Change(
        {0: [USED]},
        {0: [USED, NEW]},
        held=(0, USED),
        start_after="before nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
    )
    found = await kill_at_every_step(change, nodes_of("a30"))
    found.assert_all(at_least=70)
    assert not [step for step in found.recorded if "nvmlDeviceCreateGpuInstanceWithPlacement" in step]
    assert {
        "before nvml: nvmlInit #1",
        "before nvml-gpu-0: nvmlDeviceGetGpuInstances #1",
        "before nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
        "after nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
    } <= found.killed_at
