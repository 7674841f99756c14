"""Killed at any step of replacing slices by a larger one, the next agent goes on where the last one was (N1, N12)."""

from tests.support.crash.enumeration import Change, MakeNodes, kill_at_every_step

USED, LARGER = "1g.10gb@0+1", "2g.20gb@2+2"
SMALL = ["1g.10gb@2+1", "1g.10gb@3+1"]


async def test_killed_at_any_step_of_replacing_beside_a_used_slice(nodes_of: MakeNodes) -> None:
    """N1: two small ones are destroyed, a larger one is made in their room; the used neighbour is not touched."""
    change = Change({0: [USED, *SMALL]}, {0: [USED, LARGER]}, held=(0, USED))
    found = await kill_at_every_step(change, nodes_of("a100-80gb"))
    found.assert_all(at_least=45)
    assert {
        "after nvml-gpu-0: nvmlGpuInstanceDestroy #1",
        "after nvml-gpu-0: nvmlGpuInstanceDestroy #2",
        "before nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1",
        "after nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
    } <= found.killed_at


async def test_killed_at_any_step_with_a_state_folder_that_cannot_be_written(nodes_of: MakeNodes) -> None:
    """N1, N12: no ledger at all; what is ours, half-destroyed and half-made, is known from the report."""
    change = Change({0: SMALL[:1]}, {0: [LARGER]}, writable=False)
    found = await kill_at_every_step(change, nodes_of("a100-80gb"))
    found.assert_all(at_least=24)
    assert not [step for step in found.recorded if "ledger" in step]
    assert {
        "after nvml-gpu-0: nvmlGpuInstanceDestroy #1",
        "after nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1",
        "after nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
    } <= found.killed_at
