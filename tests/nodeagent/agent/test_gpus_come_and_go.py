"""One GPU is lost, wants a reset, is swapped, or has its MIG mode switched by hand; the other one never notices (N5, S6)."""

from collections.abc import Callable

import pytest

from mig.migspec import MigMode, Status
from simgpu import SimNode
from tests.support.agenthost import AgentHost, slices, states

RESYNC = ("--resync-s", "0.5")
ONE, TWO = "1g.10gb@0+1", "1g.10gb@1+1"


async def with_slices(host: AgentHost) -> None:
    """An agent, and a slice on either GPU."""
    host.start(*RESYNC)
    await host.want({0: [ONE], 1: [ONE]})
    await host.until_free(0, ONE)
    await host.until_free(1, ONE)


def state_on(host: AgentHost, status: Status, gpu: int) -> list[str]:
    """The states of the slices of one GPU."""
    return [item.state.value for item in slices(status, host.sim.gpus[gpu].uuid)]


@pytest.mark.parametrize(
    ("befall", "words"),
    [(SimNode.lose, "fell off the bus"), (SimNode.require_reset, "nvidia-smi --gpu-reset -i <index>")],
    ids=["lost", "reset required"],
)
async def test_a_gpu_in_trouble_is_told_apart_and_comes_back(
    host: AgentHost, befall: Callable[[SimNode, int], None], words: str
) -> None:
    """N5: nothing new is to be placed there, its slices are of no use; the other GPU takes new ones; a reset mends it."""
    await with_slices(host)
    befall(host.sim, 0)
    status = await host.until(
        lambda status: words in status.gpus[0].trouble and state_on(host, status, 1) == ["Free"], "one in trouble"
    )
    assert state_on(host, status, 0) == ["Failed"]
    assert status.gpus[1].trouble == ""
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert (healthy.status, healthy.reason) == ("False", "GpuUnavailable")
    await host.want({0: [ONE], 1: [ONE, TWO]})
    await host.until_free(1, ONE, TWO)
    host.sim.reset(0)
    await host.until_free(0, ONE)
    status = await host.until(lambda _: True, "a report")
    assert status.gpus[0].trouble == ""


async def test_a_gpu_that_was_lost_before_the_agent_started(host: AgentHost) -> None:
    """N5: what it held is not called gone, and what the other GPU needs is done at once."""
    await with_slices(host)
    host.kill()
    host.sim.lose(0)
    await host.want({0: [ONE], 1: [ONE, TWO]})
    host.start(*RESYNC)
    await host.until_free(1, ONE, TWO)
    status = await host.until(lambda _: True, "a report")
    assert status.gpu(host.sim.gpus[0].uuid) is None
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert "GPU 0: nvmlDeviceGetHandleByIndex: GPU is lost" in healthy.message
    host.sim.reset(0)
    await host.until_free(0, ONE)


async def test_another_gpu_in_the_place_of_one(host: AgentHost) -> None:
    """S6: the spec for the old one is ignored and told; the new one is reported, and used as soon as the spec names it."""
    await with_slices(host)
    old = host.sim.gpus[0].uuid
    host.sim.swap(0)
    new = host.sim.gpus[0].uuid
    status = await host.until(lambda status: status.gpu(new) is not None and status.gpu(old) is None, "the new one")
    assert (status.gpus[0].trouble, status.gpus[0].slices) == ("", ())
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert f"the spec names GPU {old}, which this node does not have" in healthy.message
    assert host.hardware(0) == set()
    await host.want({0: ["2g.20gb@2+2"], 1: [ONE]})
    await host.until_free(0, "2g.20gb@2+2")
    assert host.hardware(1) == {("1g.10gb", 0, True)}


async def test_mig_mode_switched_off_and_on_by_hand(host: AgentHost) -> None:
    """N5: off, it holds nothing and says how to turn it on; on again, what the spec wants is made anew."""
    await with_slices(host)
    for instance in host.sim.gpus[1].instances:
        host.sim.destroy(1, instance.id)
    assert host.sim.set_mig_mode(1, False) == 0
    status = await host.until(lambda status: status.gpus[1].mig_mode is MigMode.DISABLED, "off")
    (item,) = slices(status, host.sim.gpus[1].uuid)
    assert item.state.value == "Failed"
    assert "nvidia-smi -i 1 -mig 1" in item.message
    assert state_on(host, status, 0) == ["Free"]
    host.sim.set_mig_mode(1, True)
    await host.until_free(1, ONE)


async def test_mig_mode_that_waits_for_a_reset(host: AgentHost) -> None:
    """N5: nothing new is made there; what is used stays until the reset, which takes it."""
    await with_slices(host)
    assert host.sim.set_mig_mode(0, False) != 0
    status = await host.until(lambda status: status.gpus[0].mig_mode is MigMode.PENDING_RESET, "pending")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert "nvidia-smi --gpu-reset -i 0" in healthy.message
    host.sim.reset_calls()
    await host.want({0: [ONE, TWO], 1: [ONE, TWO]})
    await host.until_free(1, ONE, TWO)
    assert host.hardware(0) == {("1g.10gb", 0, True)}
    assert host.sim.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"] == 1
    host.sim.set_mig_mode(0, True)
    await host.until_free(0, ONE, TWO)
    assert states(await host.until(lambda _: True, "a report")) == {"1g.10gb@0": "Free", "1g.10gb@1": "Free"}
