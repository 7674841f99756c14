"""Killed at any step of taking foreign slices over, or of turning MIG mode on, the next agent goes on with it (N1)."""

from tests.support.crash.enumeration import Change, MakeNodes, kill_at_every_step

FREE, USED = "1g.10gb@0+1", "2g.20gb@2+2"


async def test_killed_at_any_step_of_taking_foreign_slices_over(nodes_of: MakeNodes) -> None:
    """N1: a free one and one that a process uses become ours as they are: nothing is made, nothing is destroyed."""
    change = Change({}, {0: [FREE, USED]}, foreign=(FREE, USED), busy=frozenset({USED}))
    found = await kill_at_every_step(change, nodes_of("a100-80gb"))
    found.assert_all(at_least=2)
    assert not [step for step in found.recorded if "Create" in step or "Destroy" in step]
    assert found.killed_at >= {"before the ledger's rename #1", "after the ledger's rename #1"}


async def test_killed_at_any_step_of_turning_mig_mode_on(nodes_of: MakeNodes) -> None:
    """N1: turned on once, by whichever agent; then the wanted slice is made."""
    found = await kill_at_every_step(Change({}, {0: [FREE]}, mig_off=True), nodes_of("h100-80gb"))
    found.assert_all(at_least=50)
    assert found.killed_at >= {
        "before nvml-gpu-0: nvmlDeviceSetMigMode #1",
        "after nvml-gpu-0: nvmlDeviceSetMigMode #1",
        "before nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1",
    }
