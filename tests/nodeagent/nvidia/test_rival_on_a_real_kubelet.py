"""With our own plugin: NVIDIA's on the same node is noticed and reported with the label to set, and forgotten when it is gone."""

from collections.abc import AsyncIterator

import pytest

from mig.migspec import Status
from tests.nodeagent.nvidia.conftest import OwnHost
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet


def told(status: Status) -> bool:
    healthy = status.condition("Healthy")
    return (
        healthy is not None
        and (healthy.status, healthy.reason) == ("False", "KubeletTrouble")
        and "another device plugin advertises MIG slices" in healthy.message
        and "nvidia.com/gpu.deploy.device-plugin=false" in healthy.message
    )


def well(status: Status) -> bool:
    healthy = status.condition("Healthy")
    return healthy is not None and healthy.status == "True"


@pytest.fixture
async def rival(own_host: OwnHost) -> AsyncIterator[NvidiaDaemonSet]:
    """Its process alone: who started it does not matter."""
    plugin = own_host.plugin()
    yield plugin
    await plugin.end()


async def test_a_rival_is_told_and_forgotten(own_host: OwnHost, rival: NvidiaDaemonSet) -> None:
    """It overwrites our list; once it is gone ours is heard again, a slice is offered, and a Pod runs."""
    host = own_host.host
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    rival.start()
    await host.until(told, "told", within_s=30)
    await rival.end()
    await host.until(well, "forgotten", within_s=40)
    await host.until_free(0, "1g.10gb@0+1")
    await host.run_pod("after-the-rival", "1g.10gb", "true")
    pod = await host.until_phase("after-the-rival", "Succeeded", "Failed")
    assert pod["status"]["phase"] == "Succeeded", pod["status"]
