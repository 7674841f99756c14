"""Killed at any step of making or taking away what containers get by the name of a CDI device (N1)."""

from tests.support.crash.enumeration import Change, MakeNodes, kill_at_every_step

PLACE = "2g.20gb@2+2"
DESCRIBED = {"before the description's rename #1", "after the description's rename #1"}


async def test_killed_at_any_step_of_making_a_slice_with_a_name(nodes_of: MakeNodes) -> None:
    """N1: it is in the description before it is offered, whoever writes it."""
    found = await kill_at_every_step(Change({0: []}, {0: [PLACE]}, by_name=True), nodes_of("a100-80gb"))
    found.assert_all(at_least=14)
    assert found.killed_at >= DESCRIBED | {"before the ledger's rename #1", "before PATCH nodes status #1"}


async def test_killed_at_any_step_of_taking_one_away_beside_another(nodes_of: MakeNodes) -> None:
    """N1: the one that stays is in the description at every moment; the file is whole, and by the rules."""
    change = Change({0: ["1g.10gb@0+1", PLACE]}, {0: ["1g.10gb@0+1"]}, by_name=True)
    found = await kill_at_every_step(change, nodes_of("a100-80gb"))
    found.assert_all(at_least=22)
    assert found.killed_at >= DESCRIBED | {"after nvml-gpu-0: nvmlGpuInstanceDestroy #1"}
