"""The agent on a real node: the hardware becomes what the spec says, and nothing more is done than that takes."""

import signal

from tests.support.agenthost import AgentHost, slices, states


async def test_slices_are_made_offered_and_taken_away(host: AgentHost) -> None:
    """Free means: exists, offered, counted; and an emptied GPU is empty."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "3g.40gb@4+4"], 1: ["7g.80gb@0+8"]})
    free = await host.until_free(0, "1g.10gb@0+1", "3g.40gb@4+4")
    await host.until_free(1, "7g.80gb@0+8")
    assert host.hardware(0) == {("1g.10gb", 0, True), ("3g.40gb", 4, True)}
    on_hardware = {ci.uuid for gi in host.sim.gpus[0].instances for ci in gi.compute_instances}
    assert {item.uuid for item in free} == on_hardware
    await host.want({0: [], 1: ["7g.80gb@0+8"]})
    await host.until_free(0)
    assert host.hardware(0) == set()
    assert host.hardware(1) == {("7g.80gb", 0, True)}


async def test_room_is_emptied_before_it_is_filled(host: AgentHost) -> None:
    """Seven small slices give way to one large one, with no call to the driver that had to be refused."""
    host.start()
    await host.want({0: [f"1g.10gb@{start}+1" for start in range(7)]})
    await host.until_free(0, *(f"1g.10gb@{start}+1" for start in range(7)))
    await host.want({0: ["7g.80gb@0+8"]})
    await host.until_free(0, "7g.80gb@0+8")
    assert host.hardware(0) == {("7g.80gb", 0, True)}
    _, metrics = await host.get("/metrics")
    assert 'outcome="Insufficient' not in metrics
    assert 'nos_mig_agent_steps_total{outcome="ok",step="destroy"} 7.0' in metrics


async def test_a_spec_that_only_moves_claims_costs_no_call_to_the_driver(host: AgentHost) -> None:
    """Warm reuse: the next Pod starts on what is there."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.reset_calls()
    generation = await host.want({0: ["1g.10gb@0+1"]}, epoch=2)
    status = await host.until(lambda _: True, "a report on the new generation")
    assert status.observed_generation == generation
    changing = {name for name in host.sim.calls() if "Create" in name or "Destroy" in name}
    assert changing == set()


async def test_of_many_specs_at_once_only_the_newest_is_made(host: AgentHost) -> None:
    """N10: whoever could not listen for a while converges once; the hardware is untouched meanwhile."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.reset_calls()
    assert host.process is not None
    host.process.send_signal(signal.SIGSTOP)
    for start in (1, 2, 3, 4, 5, 6) * 5:
        await host.want({0: [f"1g.10gb@{start}+1"]})
    await host.want({0: ["1g.10gb@0+1", "3g.40gb@4+4"]})
    host.process.send_signal(signal.SIGCONT)
    await host.until_free(0, "1g.10gb@0+1", "3g.40gb@4+4")
    assert host.sim.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"] <= 3
    assert host.hardware(0) == {("1g.10gb", 0, True), ("3g.40gb", 4, True)}


async def test_a_gpu_that_the_spec_does_not_name_is_left_as_it_is(host: AgentHost) -> None:
    """Unknown is not empty; and a spec that names nothing, or no MigSpec, changes nothing."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    await host.want({})
    await host.until_free(0, "1g.10gb@0+1")
    assert host.hardware(0) == {("1g.10gb", 0, True)}


async def test_foreign_slices_are_reported_and_never_touched(host: AgentHost) -> None:
    """N6: one from before, and one that is made behind our back in the way of the spec (N3)."""
    host.sim.create_foreign(0, "3g.40gb", 4)
    host.start()
    await host.want({0: ["1g.10gb@0+1"], 1: []})
    status = await host.until(lambda status: states(status).get("1g.10gb@0") == "Free", "ours beside it")
    assert states(status)["3g.40gb@4"] == "Foreign"
    host.sim.create_foreign(1, "1g.10gb", 2)
    await host.want({0: [], 1: ["2g.20gb@2+2", "1g.10gb@0+1"]})
    why = "waits for the room of 1g.10gb at 2, which is not ours and is left alone"
    await host.until(
        lambda status: (
            states(status).get("1g.10gb@0") == "Free"
            and [(item.state.value, item.message) for item in slices(status, host.sim.gpus[1].uuid)[1:]]
            == [("Failed", why)]
        ),
        "the other slice is made, this one says why not",
    )
    assert host.hardware(0) >= {("3g.40gb", 4, True)}
    assert host.hardware(1) == {("1g.10gb", 2, True), ("1g.10gb", 0, True)}


async def test_a_spec_that_cannot_exist_changes_nothing_on_that_gpu(host: AgentHost) -> None:
    """S5, S6: an unknown profile and an unknown GPU; the other GPU is served, and Healthy says what is wrong."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    first, second = (gpu.uuid for gpu in host.sim.gpus)
    await host.write(
        {
            "leaderEpoch": 1,
            "gpus": [
                {"uuid": first, "slices": [{"start": 0, "size": 1, "profile": "1g.99gb"}]},
                {"uuid": second, "slices": [{"start": 4, "size": 4, "profile": "3g.40gb"}]},
                {"uuid": "GPU-swapped", "slices": [{"start": 0, "size": 1, "profile": "1g.10gb"}]},
            ],
        }
    )
    status = await host.until(lambda status: states(status).get("3g.40gb@4") == "Free", "the sound GPU is served")
    assert host.hardware(0) == {("1g.10gb", 0, True)}
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert healthy.status == "False"
    assert "the GPU offers no profile 1g.99gb" in healthy.message
    assert "GPU-swapped, which this node does not have" in healthy.message
