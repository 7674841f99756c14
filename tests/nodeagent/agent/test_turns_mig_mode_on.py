"""`--enable-mig-mode`: on where that disturbs nobody, else it says why not; without it nothing is touched."""

import os

from mig.migspec import MigMode, Status
from tests.support.agenthost import AgentHost

A100, H100 = 0, 1
FLAGS = ("--enable-mig-mode", "--resync-s", "0.5")


def off(host: AgentHost) -> None:
    """Both GPUs without MIG."""
    for index in (A100, H100):
        host.sim.set_mig_mode(index, False)
        host.sim.reset(index)
    host.sim.reset_calls()


def modes(status: Status) -> list[MigMode]:
    """Of the two GPUs."""
    return [gpu.mig_mode for gpu in status.gpus]


def orders(host: AgentHost) -> int:
    """How often the driver was told to change a MIG mode."""
    return host.sim.calls().get("nvmlDeviceSetMigMode", 0)


async def test_by_default_gpus_without_mig_are_left_alone_and_reported(host: AgentHost) -> None:
    """Contract 1."""
    off(host)
    host.start("--resync-s", "0.5")
    await host.want({})
    await host.hand_over()
    status = await host.until(lambda status: modes(status) == [MigMode.DISABLED] * 2, "both off")
    assert [gpu.trouble for gpu in status.gpus] == ["", ""]
    await host.until_called("nvmlDeviceGetMigMode", times=8)
    assert orders(host) == 0


async def test_it_is_turned_on_once_the_node_is_handed_over(host: AgentHost) -> None:
    """Hopper at once, and slices can be made there; Ampere would need a reset, and says so with the commands."""
    off(host)
    host.start(*FLAGS)
    await host.want({})
    await host.until(lambda status: modes(status) == [MigMode.DISABLED] * 2, "not handed over")
    await host.until_called("nvmlDeviceGetMigMode", times=8)
    assert orders(host) == 0
    await host.hand_over()
    status = await host.until(lambda status: modes(status) == [MigMode.DISABLED, MigMode.ENABLED], "one on")
    assert "takes a GPU reset: nvidia-smi -i 0 -mig 1" in status.gpus[A100].trouble
    assert status.gpus[H100].trouble == ""
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert healthy.status == "True"
    assert "GPU 0" in healthy.message
    assert orders(host) == 1
    await host.want({H100: ["3g.40gb@4+4"]})
    await host.until_free(H100, "3g.40gb@4+4")
    assert orders(host) == 1


async def test_a_gpu_that_a_process_uses_waits_for_its_end(host: AgentHost) -> None:
    """The process is named, and never disturbed."""
    off(host)
    host.sim.hold(host.sim.gpus[H100].uuid, os.getpid())
    host.start(*FLAGS)
    await host.want({})
    await host.hand_over()
    words = f"MIG mode stays off: processes {os.getpid()} use this GPU"
    await host.until(lambda status: words in status.gpus[H100].trouble, "says who is there")
    assert orders(host) == 0
    host.sim.release(os.getpid())
    await host.until(lambda status: modes(status)[H100] is MigMode.ENABLED, "on")


async def test_a_process_that_comes_between_leaves_a_mode_that_waits_and_is_tried_again(host: AgentHost) -> None:
    """N5: the driver takes the order without an error; that is no success before it is in force."""
    off(host)
    host.sim.inject(function="nvmlDeviceSetMigMode", gpu=H100, block_ms=60_000)
    host.start(*FLAGS)
    await host.want({})
    await host.hand_over()
    await host.until_called("nvmlDeviceSetMigMode")
    host.sim.hold(host.sim.gpus[H100].uuid, os.getpid())
    host.sim.clear_faults()
    status = await host.until(lambda status: modes(status)[H100] is MigMode.PENDING_RESET, "waits for a reset")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert f"nvidia-smi --gpu-reset -i {H100}" in healthy.message
    host.sim.release(os.getpid())
    await host.until(lambda status: modes(status)[H100] is MigMode.ENABLED, "on")


async def test_a_mode_that_an_admin_switches_off_is_not_switched_on_against_him(host: AgentHost) -> None:
    """It waits for its reset with MIG still on; used slices are kept until then."""
    host.start(*FLAGS)
    await host.want({A100: ["1g.10gb@0+1"]})
    await host.hand_over()
    await host.until_free(A100, "1g.10gb@0+1")
    host.sim.set_mig_mode(A100, False)
    host.sim.reset_calls()
    await host.until(lambda status: modes(status)[A100] is MigMode.PENDING_RESET, "waits for a reset")
    await host.until_called("nvmlDeviceGetMigMode", times=6)
    assert orders(host) == 0
    assert host.hardware(A100) == {("1g.10gb", 0, True)}
