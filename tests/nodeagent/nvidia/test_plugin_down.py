"""A plugin that is not there is waited for, told in the report, and made use of as soon as it is back."""

import pytest

from mig.migspec import Status
from tests.support.agenthost import AgentHost, states
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet
from tests.support.waiting import until_answered


def unhealthy(status: Status, words: str) -> bool:
    healthy = status.condition("Healthy")
    return healthy is not None and healthy.status == "False" and words in healthy.message


def healthy(status: Status) -> bool:
    condition = status.condition("Healthy")
    return condition is not None and condition.status == "True"


@pytest.mark.timeout(180)
async def test_a_plugin_that_is_down_is_told_and_taken_up_when_it_is_back(
    host: AgentHost, plugin: NvidiaDaemonSet
) -> None:
    """Slices are made meanwhile and stay Creating; it enumerates when it comes, so nothing is started anew."""
    host.start()
    await plugin.down()
    await host.want({0: ["1g.10gb@0+1"]})
    told = "no Pod of NVIDIA's device plugin is on this node"
    status = await host.until(lambda status: unhealthy(status, told), "told", within_s=40)
    assert states(status) == {"1g.10gb@0": "Creating"}
    assert "nodeAgent.nvidiaDevicePlugin" in str(status.condition("Healthy"))
    await plugin.up()
    await host.until_free(0, "1g.10gb@0+1", within_s=40)
    await host.until(healthy, "healthy")
    assert plugin.starts == 2
    await host.run_pod("after", "1g.10gb", "true")
    await host.until_phase("after", "Succeeded")


@pytest.mark.timeout(180)
async def test_a_running_pod_outlives_a_plugin_that_is_down(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """Nothing is counted while nobody offers; the slice is used on, and free again after the Pod and the plugin's return."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    await host.run_pod("runs", "1g.10gb")
    await host.until_phase("runs", "Running")
    await plugin.down()
    await host.until(
        lambda status: sorted(states(status).values()) == ["Creating", "Used"], "the free one is not offered"
    )

    async def nothing_counted() -> bool:
        """The kubelet writes its Node when it comes to it."""
        return await plugin.counts() == {}

    await until_answered(nothing_counted, within_s=30)
    await plugin.up()
    await host.until(lambda status: sorted(states(status).values()) == ["Free", "Used"], "offered again", within_s=40)
    assert plugin.starts == 3
    await host.delete_pod("runs")
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
