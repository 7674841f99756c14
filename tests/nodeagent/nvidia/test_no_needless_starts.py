"""The plugin is left alone for as long as what it enumerated is what is there."""

import asyncio

from tests.support.agenthost import AgentHost
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet


async def test_an_agent_that_comes_back_starts_nothing(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """Everything is listed already: no start, no call that changes hardware, and the slice stays countable."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (before,) = await host.until_free(0, "1g.10gb@0+1")
    host.kill()
    host.start()
    await host.want({0: ["1g.10gb@0+1"]}, epoch=2)
    (after,) = await host.until_free(0, "1g.10gb@0+1")
    await asyncio.sleep(3)
    assert after.uuid == before.uuid
    assert plugin.starts == 2


async def test_a_restarted_kubelet_needs_no_start(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """The plugin registers again by itself, with what it once found; no count is promised in between."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (before,) = await host.until_free(0, "1g.10gb@0+1")
    node = host.stack.nodes[host.node].node
    await asyncio.to_thread(node.restart_kubelet)
    await host.until(lambda status: True, "a report")
    (after,) = await host.until_free(0, "1g.10gb@0+1", within_s=30)
    await asyncio.sleep(3)
    assert after.uuid == before.uuid
    assert plugin.starts == 2
    await host.run_pod("after", "1g.10gb", "true")
    await host.until_phase("after", "Succeeded")
