"""What somebody destroys behind the agent's back is missed at the next reading, made anew where it is wanted, and told (N6)."""

import pytest

from mig.migspec import SliceState, Status, StatusSlice
from tests.support.agenthost import AgentHost, states

RESYNC = ("--resync-s", "0.5")


def only(status: Status) -> StatusSlice:
    """The one slice of the first GPU."""
    (item,) = status.gpus[0].slices
    return item


def destroy_all(host: AgentHost) -> None:
    """What an admin does with `nvidia-smi mig -dci` and `-dgi`."""
    for instance in host.sim.gpus[0].instances:
        host.sim.destroy(0, instance.id)


async def test_a_free_slice_that_somebody_destroyed_is_made_anew_and_told(host: AgentHost) -> None:
    """N6: within one resync, and in one make."""
    host.start(*RESYNC)
    await host.want({0: ["2g.20gb@2+2"]})
    (before,) = await host.until_free(0, "2g.20gb@2+2")
    host.sim.reset_calls()
    destroy_all(host)
    status = await host.until(
        lambda status: only(status).state is SliceState.FREE and "is gone" in only(status).message,
        "made anew, and told",
    )
    words = f"{before.uuid}, which was here, is gone; somebody destroyed it, or reset the GPU or the driver"
    assert only(status).message == words
    assert host.hardware(0) == {("2g.20gb", 2, True)}
    assert host.sim.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"] == 1
    assert "nvmlGpuInstanceDestroy" not in host.sim.calls()


async def test_a_compute_instance_that_somebody_destroyed_is_put_back(host: AgentHost) -> None:
    """N6: the GPU instance is still ours and is filled again; it is not made anew."""
    host.start(*RESYNC)
    await host.want({0: ["2g.20gb@2+2"]})
    await host.until_free(0, "2g.20gb@2+2")
    host.sim.reset_calls()
    (instance,) = host.sim.gpus[0].instances
    host.sim.destroy(0, instance.id)
    host.sim.create_foreign(0, "2g.20gb", 2, with_ci=False)
    await host.until(
        lambda status: only(status).state is SliceState.FREE and "is gone" in only(status).message, "filled again"
    )
    assert host.hardware(0) == {("2g.20gb", 2, True)}
    assert "nvmlDeviceCreateGpuInstanceWithPlacement" not in host.sim.calls()
    assert host.sim.calls()["nvmlGpuInstanceCreateComputeInstance"] == 1


async def test_a_used_slice_that_somebody_destroyed_names_the_pod_that_lost_it(host: AgentHost) -> None:
    """N6: by force, under a running Pod; the slice's message and `Healthy` say it until that Pod has ended."""
    host.start(*RESYNC)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    await host.run_pod("loser", "1g.10gb")
    await host.until(lambda status: only(status).holder is not None, "used")
    destroy_all(host)
    words = "Pod default/loser used it, and cannot go on with it: delete that Pod"
    status = await host.until(lambda status: words in only(status).message, "told on the slice")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert f"GPU 0: 1g.10gb at 0: {host.devices_of('loser')}, which was here, is gone" in healthy.message
    assert words in healthy.message
    await host.until(lambda _: host.hardware(0) == {("1g.10gb", 0, True)}, "made anew")
    await host.delete_pod("loser")
    await host.until_free(0, "1g.10gb@0+1")


async def test_what_somebody_makes_in_the_place_of_a_used_slice_is_not_ours(host: AgentHost) -> None:
    """N6: another profile lies there now; it is foreign, and what the spec wants waits for it."""
    host.start(*RESYNC)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    destroy_all(host)
    host.sim.create_foreign(0, "2g.20gb", 0)
    wanted = {("1g.10gb", SliceState.FAILED, True), ("2g.20gb", SliceState.FOREIGN, False)}
    status = await host.until(
        lambda status: {(str(item.profile), item.state, item.owned) for item in status.gpus[0].slices} == wanted,
        "a stranger in the way",
    )
    (mine,) = (item for item in status.gpus[0].slices if item.owned)
    assert "is not ours and is left alone" in mine.message
    assert "is gone" in mine.message
    assert host.hardware(0) == {("2g.20gb", 0, True)}


@pytest.mark.parametrize("wanted", [["1g.10gb@0+1"], []], ids=["wanted", "unwanted"])
async def test_what_went_while_no_agent_ran_is_told_if_it_is_missed(host: AgentHost, wanted: list[str]) -> None:
    """N6: the ledger knew it; nobody is told of what was to go anyway."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.kill()
    destroy_all(host)
    await host.want({0: wanted})
    host.start(*RESYNC)
    status = await host.until(
        lambda status: (
            [(item.state.value, "is gone" in item.message) for item in status.gpus[0].slices]
            == [("Free", True)] * len(wanted)
        ),
        "told, and made anew",
    )
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert "is gone" not in healthy.message


async def test_what_the_agent_takes_away_itself_is_not_missed(host: AgentHost) -> None:
    """N6: also where the driver refuses half-way, and the GPU is read in between."""
    host.start(*RESYNC)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    host.sim.inject(function="nvmlGpuInstanceDestroy", gpu=0, code=19, times=2)
    await host.want({0: []})
    await host.until_free(0)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    status = await host.until(lambda status: set(states(status).values()) == {"Free"}, "made anew by order")
    assert [item.message for item in status.gpus[0].slices] == ["", ""]
    assert "gone behind our back" not in host.log
