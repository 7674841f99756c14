"""NVIDIA's plugin dies on an instance that an admin cut into smaller compute instances: its likely reason is named, and passes."""

import pytest

from mig.migspec import Status
from tests.support.agenthost import AgentHost, states
from tests.support.foreign import create_cut
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet

SLICE = "1g.10gb@0"


def told(status: Status) -> bool:
    """What is wrong, where the reason is, and what to do."""
    healthy = status.condition("Healthy")
    words = ("a likely reason", "2g.20gb at 2 of GPU 1", "nvidia-smi mig -dci, -dgi")
    return healthy is not None and healthy.status == "False" and all(word in healthy.message for word in words)


@pytest.mark.timeout(240)
async def test_the_likely_reason_is_named_and_all_goes_on_once_it_is_gone(
    host: AgentHost, plugin: NvidiaDaemonSet
) -> None:
    """The slice is made, waits as Creating, and counts for nobody; with the admin's instance gone it is Free and a Pod gets it."""
    cut = create_cut(host.sim, 1, "2g.20gb", 2)
    host.start("--resync-s", "1")
    await host.want({0: [f"{SLICE}+1"]})
    await plugin.until_logged("invalid MIG profile '1c.2g.20gb'")
    status = await host.until(told, "the likely reason", within_s=60)
    assert states(status)[SLICE] == "Creating"
    assert await plugin.counts() == {}
    assert host.hardware(1) == {("2g.20gb", 2, True)}  # an admin's, so left alone
    host.sim.destroy(1, cut)
    await host.until(lambda status: states(status) == {SLICE: "Free"}, "free", within_s=90)
    healthy = (await host.until(lambda status: not told(status), "forgotten")).condition("Healthy")
    assert healthy is not None
    assert healthy.status == "True"
    await host.run_pod("after-the-cut", "1g.10gb", "true")
    pod = await host.until_phase("after-the-cut", "Succeeded", "Failed")
    assert pod["status"]["phase"] == "Succeeded", pod["status"]
