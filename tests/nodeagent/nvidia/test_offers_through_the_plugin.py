"""Beside NVIDIA's plugin, on a real kubelet: a wanted slice is made, enumerated, counted, and given to a Pod."""

from tests.support.agenthost import AgentHost, states
from tests.support.nvidia_plugin_daemonset import NvidiaDaemonSet


async def test_slices_made_together_cost_one_start_of_the_plugin(host: AgentHost, plugin: NvidiaDaemonSet) -> None:
    """On two GPUs, of two profiles: Free only when the kubelet lists them and the Node counts them."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"], 1: ["3g.40gb@4+4"]})
    wanted = {"1g.10gb@0": "Free", "1g.10gb@1": "Free", "3g.40gb@4": "Free"}
    await host.until(lambda status: states(status) == wanted, "all free")
    assert plugin.starts == 2
    assert await plugin.counts() == {"nvidia.com/mig-1g.10gb": 2, "nvidia.com/mig-3g.40gb": 1}
