"""A real control plane and a real kubelet for this folder; a fresh simulated node, NVIDIA's plugin and an agent for each test."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import Cluster
from demo.plan import node_plan
from demo.stack import Stack
from kube.client import Api
from simgpu import SimNode
from tests.support.agenthost import AgentHost
from tests.support.nvidia_plugin_daemonset import NAMESPACE, SELECTOR, NvidiaDaemonSet, installed

NODE = "gpu-node"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test pays for the start of the cluster."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(150))


@pytest.fixture(scope="session")
def node_stack() -> Iterator[Stack]:
    """The chart as for a cluster that keeps NVIDIA's plugin; its webhook is off, since tests stand in for the allocator."""
    stack = Stack(Cluster.start(name="nos-nvidia"))
    try:
        stack.add_nodes([node_plan(NODE, "a100-80gb")])
        stack.cluster.kubectl("create", "namespace", NAMESPACE)
        stack.install_chart("nodeAgent.devicePlugin=nvidia", f"nodeAgent.nvidiaDevicePlugin.namespace={NAMESPACE}")
        stack.cluster.kubectl("delete", "mutatingwebhookconfiguration", "nos-mig")
        yield stack
    finally:
        stack.stop()


@dataclass
class OwnHost:
    """A node whose agent is its own device plugin."""

    host: AgentHost

    def at_driver_root(self) -> AgentHost:
        """Let the driver be found below another root, and not by the loader; `start` it without a driver in its reach."""
        self.host.arguments = ["--driver-root", str(self.host.sim.root), "--resync-s", "1"]
        self.host.environment = {"SIMGPU_STATE": str(self.host.sim.directory), "LD_LIBRARY_PATH": ""}
        return self.host

    def plugin(self) -> NvidiaDaemonSet:
        """NVIDIA's plugin beside it, to be started by hand."""
        return nvidia_plugin(self.host)


@pytest.fixture
async def own_host(node_stack: Stack, tmp_path: Path) -> AsyncIterator[OwnHost]:
    """An A100, MIG on, and no agent yet."""
    sim = SimNode.create(tmp_path / "sim", gpus=["a100-80gb"])
    async with Api.connect(node_stack.cluster.kubeconfig, user_agent="test") as api:
        made = AgentHost(api, node_stack, NODE, sim, tmp_path)
        try:
            yield OwnHost(made)
        finally:
            await made.clean()


def nvidia_plugin(host: AgentHost) -> NvidiaDaemonSet:
    """NVIDIA's plugin for the node of an agent, not installed yet."""
    directory = host.stack.nodes[host.node].node.device_plugin_dir
    return NvidiaDaemonSet(host.api, host.node, directory, host.sim, host.folder / "plugin.log")


@pytest.fixture
async def host(node_stack: Stack, tmp_path: Path) -> AsyncIterator[AgentHost]:
    """An A100 and an H100, MIG on, and no agent yet; it will stand beside NVIDIA's plugin."""
    sim = SimNode.create(tmp_path / "sim", gpus=["a100-80gb", "h100-80gb"])
    options = [
        *("--device-plugin", "nvidia", "--nvidia-plugin-namespace", NAMESPACE, "--nvidia-plugin-selector", SELECTOR)
    ]
    async with Api.connect(node_stack.cluster.kubeconfig, user_agent="test") as api:
        made = AgentHost(api, node_stack, NODE, sim, tmp_path, arguments=options)
        try:
            yield made
        finally:
            await made.clean()


@pytest.fixture
async def plugin(host: AgentHost) -> AsyncIterator[NvidiaDaemonSet]:
    """NVIDIA's plugin, installed; it has enumerated a node without slices."""
    async with installed(nvidia_plugin(host)) as daemon_set:
        await daemon_set.until_logged("enumerated")
        await daemon_set.uncount()
        yield daemon_set
