"""The plugin is left alone for as long as what it enumerated is what is there."""

import asyncio

from tests.support.agenthost import AgentHost
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet


async def test_an_agent_that_comes_back_starts_nothing(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """Everything is listed already. The next slice costs the one start that it always costs, so none was before."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (before,) = await host.until_free(0, "1g.10gb@0+1")
    host.kill()
    host.start()
    await host.want({0: ["1g.10gb@0+1"]}, epoch=2)
    (after,) = await host.until_free(0, "1g.10gb@0+1")
    assert after.uuid == before.uuid
    await host.want({0: ["1g.10gb@0+1"], 1: ["1g.10gb@0+1"]}, epoch=2)
    await host.until_free(1, "1g.10gb@0+1")
    assert plugin.starts == 3


async def test_a_restarted_kubelet_needs_no_start(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """The plugin registers again by itself, with what it once found."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (before,) = await host.until_free(0, "1g.10gb@0+1")
    await asyncio.to_thread(host.stack.nodes[host.node].node.restart_kubelet)
    await plugin.until_logged("registered", times=3)
    (after,) = await host.until_free(0, "1g.10gb@0+1", within_s=30)
    assert after.uuid == before.uuid
    assert plugin.starts == 2
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    assert plugin.starts == 3
