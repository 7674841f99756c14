"""Without its ledger the agent goes by its own last report (N12). Kills at each step of that: `tests/nodeagent/crash`."""

from tests.support.agenthost import AgentHost


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
    """N12: it is healthy, says what it does without, and makes and takes away slices all the same."""
    host.state_dir.write_text("a file where the folder should be")
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    status = await host.until(lambda _: True, "a report")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert healthy.status == "True"
    assert "the state folder cannot be used" in healthy.message
    await host.want({0: ["2g.20gb@2+2"]})
    await host.until_free(0, "2g.20gb@2+2")
    assert host.hardware(0) == {("2g.20gb", 2, True)}
