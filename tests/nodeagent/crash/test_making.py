"""Killed at any step of making a slice, the next agent finishes it, or leaves nothing behind (N1, N12)."""

import pytest

from tests.support.crash.enumeration import Change, MakeNodes, kill_at_every_step

NEW = "2g.20gb@2+2"


@pytest.mark.parametrize("then", [None, {0: []}], ids=["wanted", "not wanted any more"])
async def test_killed_at_any_step_of_making(nodes_of: MakeNodes, then: dict[int, list[str]] | None) -> None:
    """N1: no orphan GI or CI, ours by ledger and report, offered and counted, with no call more than needed."""
    found = await kill_at_every_step(Change({0: []}, {0: [NEW]}, then=then), nodes_of("a100-80gb"))
    found.assert_all(at_least=12)
    assert {
        "before the ledger's rename #1",
        "before nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1",
        "after nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1",
        "before nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
        "after nvml-gpu-0: nvmlGpuInstanceCreateComputeInstance #1",
        "after the ledger's rename #2",
        "before PATCH nodes status #1",
        "before PATCH migspecs status #1",
    } <= found.killed_at


async def test_killed_at_any_step_of_making_without_a_ledger(nodes_of: MakeNodes) -> None:
    """N1, N12: with a state folder that cannot be written, nothing is made before the report says `Creating`."""
    found = await kill_at_every_step(Change({0: []}, {0: [NEW]}, writable=False), nodes_of("a100-80gb"))
    found.assert_all(at_least=8)
    reported = found.recorded.index("after PATCH migspecs status #1")
    assert reported < found.recorded.index("before nvml-gpu-0: nvmlDeviceCreateGpuInstanceWithPlacement #1")


async def test_killed_at_any_step_of_making_on_two_gpus_at_once(nodes_of: MakeNodes) -> None:
    """N1: each GPU's work is put right by itself; on the second something is in the way first."""
    change = Change({0: [], 1: ["1g.10gb@0+1"]}, {0: [NEW], 1: ["3g.40gb@0+4"]})
    found = await kill_at_every_step(change, nodes_of("a100-80gb", "h100-80gb"))
    found.assert_all(at_least=36)
    made = "after nvml-gpu-{}: nvmlGpuInstanceCreateComputeInstance #1"
    assert {made.format(0), made.format(1)} <= found.killed_at
