"""Beside NVIDIA's plugin, on a real kubelet: a wanted slice is made, enumerated, counted, and given to a Pod."""

import asyncio

from kube.resource import PODS
from mig.migspec import SliceState
from tests.support.agenthost import POLL_S, AgentHost, slices, states
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet


async def test_slices_made_together_cost_one_start_of_the_plugin(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """On two GPUs, of two profiles: Free only when the kubelet lists them and the Node counts them."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"], 1: ["3g.40gb@4+4"]})
    wanted = {"1g.10gb@0": "Free", "1g.10gb@1": "Free", "3g.40gb@4": "Free"}
    await host.until(lambda status: states(status) == wanted, "all free")
    assert plugin.starts == 2
    assert await plugin.counts() == {"nvidia.com/mig-1g.10gb": 2, "nvidia.com/mig-3g.40gb": 1}


async def test_a_slice_that_is_not_enumerated_yet_says_what_it_waits_for(
    host: AgentHost, plugin: NvidiaDaemonSet
) -> None:
    """A plugin that takes its time is waited for, and started once."""
    plugin.delay_s = 3.0
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    status = await host.until(lambda status: bool(slices(status, host.sim.gpus[0].uuid)[0].uuid), "it exists")
    (item,) = slices(status, host.sim.gpus[0].uuid)
    assert item.state is SliceState.CREATING
    assert "waits for NVIDIA's device plugin" in item.message
    await host.until_free(0, "1g.10gb@0+1")
    assert plugin.starts == 2


async def test_a_pod_keeps_its_slice_while_the_plugin_is_started_for_another(
    host: AgentHost, plugin: NvidiaDaemonSet
) -> None:
    """The first Pod runs on, with the same device by its environment and by PodResources; the second gets the other one."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (first,) = await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("first", "1g.10gb")
    await host.until_phase("first", "Running")
    assert host.devices_of("first") == first.uuid
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    status = await host.until(
        lambda status: states(status) == {"1g.10gb@0": "Used", "1g.10gb@1": "Free"}, "the second is free"
    )
    used, free = slices(status, host.sim.gpus[0].uuid)
    assert (used.uuid, used.holder and used.holder.uid) == (first.uuid, uid)
    await host.run_pod("second", "1g.10gb")
    assert (await host.until_phase("second", "Running", "Failed"))["status"]["phase"] == "Running"
    assert host.devices_of("second") == free.uuid
    assert (await host.until_phase("first", "Running", "Failed"))["status"]["phase"] == "Running"
    assert plugin.starts == 3


async def until_bound(host: AgentHost, names: list[str], count: int) -> None:
    """Wait until the scheduler has bound so many of these Pods."""
    async with asyncio.timeout(60):
        while True:
            pods = [await host.api.get(PODS, name, namespace="default") for name in names]
            if sum("nodeName" in pod["spec"] for pod in pods) >= count:
                return
            await asyncio.sleep(POLL_S)


async def test_pods_that_wait_all_run_while_slices_come_one_after_the_other(
    host: AgentHost, plugin: NvidiaDaemonSet
) -> None:
    """A Pod that is bound while the plugin starts would fail for good: each start waits until none is."""
    host.start()
    names = [f"waiting-{number}" for number in range(4)]
    for name in names:
        await host.run_pod(name, "1g.10gb")
    places = [f"1g.10gb@{start}+1" for start in range(4)]
    for number in range(4):
        await host.want({0: places[: number + 1]})
        await until_bound(host, names, number + 1)  # which may not have its device yet when the next round begins
    for name in names:
        pod = await host.until_phase(name, "Running", "Failed", within_s=60)
        assert pod["status"]["phase"] == "Running", f"{pod}\n{host.log}\n{plugin.log}"
    assert len({host.devices_of(name) for name in names}) == 4
    assert plugin.starts <= 2 * len(names)
