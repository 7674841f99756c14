"""Killed at any step of taking a slice away, the next agent takes it away, or completes it where it is wanted again (N1)."""

import pytest

from tests.support.crash.enumeration import Change, MakeNodes, kill_at_every_step

OLD = "2g.20gb@2+2"
DESTROYED = {
    "before nvml-gpu-0: nvmlComputeInstanceDestroy #1",
    "after nvml-gpu-0: nvmlComputeInstanceDestroy #1",
    "before nvml-gpu-0: nvmlGpuInstanceDestroy #1",
    "after nvml-gpu-0: nvmlGpuInstanceDestroy #1",
}


@pytest.mark.parametrize("then", [None, {0: [OLD]}], ids=["not wanted", "wanted again"])
async def test_killed_at_any_step_of_taking_away(nodes_of: MakeNodes, then: dict[int, list[str]] | None) -> None:
    """N1: whole, half-destroyed and destroyed slices end as the spec says, with no call more than needed."""
    found = await kill_at_every_step(Change({0: [OLD]}, {0: []}, then=then), nodes_of("a100-80gb"))
    found.assert_all(at_least=20)
    assert found.killed_at >= DESTROYED | {"before the ledger's rename #1", "before PATCH nodes status #1"}


async def test_what_a_pod_holds_stays_whenever_the_agent_is_killed(nodes_of: MakeNodes) -> None:
    """N1: of two unwanted slices the free one goes; the other keeps its Pod and its UUID, and nobody else gets it."""
    held, free = "1g.10gb@0+1", "1g.10gb@1+1"
    found = await kill_at_every_step(Change({0: [held, free]}, {0: []}, held=(0, held)), nodes_of("a100-80gb"))
    found.assert_all(at_least=19)
    assert found.killed_at >= DESTROYED
