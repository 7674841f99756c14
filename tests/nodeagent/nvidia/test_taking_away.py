"""Beside NVIDIA's plugin, on a real kubelet: a slice goes without harming a Pod, and the kubelet forgets it."""

from tests.support.agenthost import AgentHost, states
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet


async def test_a_slice_goes_from_hardware_plugin_and_count(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """The others are free again once the plugin has enumerated without it."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    await host.want({0: ["1g.10gb@1+1"]})
    (kept,) = await host.until_free(0, "1g.10gb@1+1")
    assert host.hardware(0) == {("1g.10gb", 1, True)}
    assert plugin.starts == 3
    enumerated = [line for line in plugin.log.splitlines() if line.startswith("enumerated")]
    assert enumerated[-1] == f"enumerated {{'nvidia.com/mig-1g.10gb': ['{kept.uuid}']}}"
    assert await plugin.counts() == {"nvidia.com/mig-1g.10gb": 1}


async def test_a_change_of_geometry_costs_one_start(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """What has to go first and what comes in its place are told to the plugin together."""
    host.start()
    await host.want({0: [f"1g.10gb@{start}+1" for start in range(4)]})
    await host.until_free(0, *(f"1g.10gb@{start}+1" for start in range(4)))
    await host.want({0: ["3g.40gb@0+4"]})
    await host.until_free(0, "3g.40gb@0+4")
    assert plugin.starts == 3
    assert await plugin.counts() == {"nvidia.com/mig-3g.40gb": 1}


async def test_a_slice_remade_with_another_profile_is_offered_under_that_one(
    host: AgentHost, plugin: NvidiaDaemonSet
) -> None:
    """It has the UUID of the one before, which the kubelet lists under the old resource until the plugin enumerates again."""
    host.start()
    await host.want({0: ["3g.40gb@0+4"]})
    (before,) = await host.until_free(0, "3g.40gb@0+4")
    await host.want({0: ["4g.40gb@0+4"]})
    (after,) = await host.until_free(0, "4g.40gb@0+4")
    assert after.uuid == before.uuid
    assert plugin.starts == 3
    assert await plugin.counts() == {"nvidia.com/mig-4g.40gb": 1}
    await host.run_pod("asks-for-the-new", "4g.40gb", "true")
    await host.until_phase("asks-for-the-new", "Succeeded")


async def test_a_used_slice_stays_and_goes_with_its_pod(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """Invariant 2: who has it is known from PodResources alone, since nobody tells of an `Allocate`."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    await host.run_pod("stays", "1g.10gb")
    await host.until_phase("stays", "Running")
    mine = host.devices_of("stays")
    await host.want({0: []})
    status = await host.until(
        lambda status: list(states(status).values()) == ["Used"], "the free one goes, the used one stays"
    )
    assert [item.uuid for gpu in status.gpus for item in gpu.slices] == [mine]
    assert (await host.until_phase("stays", "Running", "Failed"))["status"]["phase"] == "Running"
    await host.delete_pod("stays")
    await host.until_free(0)
    assert host.hardware(0) == set()
    assert plugin.starts <= 4
