"""`nos-mig nodeagent`: puts the agent together and runs it until told to stop.

The health server is up before anything that can wait, so probes are answered while another agent holds the node's lock, while the
driver is missing, and while a call to it hangs. Ready means that the driver, the kubelet and the API server answered.
"""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from kube.client import Api
from kube.errors import ConfigError
from kube.events import EventRecorder
from nodeagent import options
from nodeagent.agent import Agent, Outside
from nodeagent.edges import COMPONENT, REAL, Edges
from nodeagent.gpus.driverlibrary import DriverLibrary
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.nvml import NvmlDriver
from nodeagent.kubelet.cdifolder import CdiFolder
from nodeagent.kubelet.devicenodes import DeviceNodes
from nodeagent.kubelet.handing import EnvVar, Handing
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.kubelet.own import Kubelet
from nodeagent.lock import node_lock
from nodeagent.metrics import Metrics
from nodeagent.nvidia.node import NodeView
from nodeagent.nvidia.plugin import NvidiaPlugin
from nodeagent.options import DeviceListStrategy, DevicePlugin, Options
from nodeagent.state import NodeState
from runtime import logs
from runtime.args import CommonArgs, add_common_args
from runtime.health import serve_health
from runtime.metrics import new_registry
from runtime.process import run as run_process
from runtime.readyfile import write_ready_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_common_args(parser)
    options.add_arguments(parser)


def run(args: argparse.Namespace, edges: Edges = REAL) -> int:
    """Run until told to stop; the exit status."""
    logs.configure(log_format=args.log_format, level=args.log_level)
    agents: list[Agent] = []
    return run_process(
        lambda: _serve(args, edges, agents),
        user_errors=(ConfigError,),
        leave=lambda: any(agent.leave() for agent in agents),
    )


async def _serve(args: argparse.Namespace, edges: Edges, agents: list[Agent]) -> None:
    """`agents` takes the one agent once it holds the node's lock: before, there is nothing to leave in order."""
    common, chosen = CommonArgs.of(args), Options.of(args)
    registry = new_registry(component="nodeagent", version=version("nos-mig"))
    metrics = Metrics(registry)
    waiting = asyncio.Event()

    def unready() -> Sequence[str]:
        if not agents:
            return ["another agent runs on this node"] if waiting.is_set() else ["starting"]
        return agents[0].unready()

    def on_wait(waits: bool) -> None:  # noqa: FBT001  # the lock's one answer
        if waits:
            waiting.set()

    async with (
        serve_health(host=common.health_host, port=common.health_port, registry=registry, ready=unready) as url,
        edges.connect(common.kubeconfig) as api,
    ):
        write_ready_file(common.ready_file, health_url=url)
        async with node_lock(chosen.state_dir, chosen.node_name, on_wait=on_wait):
            agents.append(await _agent(chosen, api, metrics, edges))
            await agents[0].run()


async def _agent(chosen: Options, api: Api, metrics: Metrics, edges: Edges) -> Agent:
    boot_id = boot_id_file().read_text(encoding="ascii").strip()
    ledger = Ledger(chosen.state_dir / "ledger.json", boot_id=boot_id, replace=edges.replace)
    await ledger.open()
    outside = Outside(
        api=api,
        driver=NvmlDriver(edges.nvml(metrics.nvml_call), find=DriverLibrary(chosen.driver_root).load),
        ledger=ledger,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        jitter=random.random,
        metrics=metrics,
        events=EventRecorder(api, component=COMPONENT, instance=chosen.node_name),
    )

    state = NodeState(chosen.node_name, boot_id)

    def make_kubelet(agent: Agent) -> KubeletSide:
        return _kubelet_side(chosen, api=api, agent=agent, state=state, edges=edges)

    return Agent(outside, state=state, make_kubelet=make_kubelet, options=chosen)


def _kubelet_side(chosen: Options, *, api: Api, agent: Agent, state: NodeState, edges: Edges) -> KubeletSide:
    """Our own device plugin, or what stands beside NVIDIA's."""
    if chosen.device_plugin is DevicePlugin.OWN:
        return Kubelet(
            node_name=chosen.node_name,
            device_plugin_dir=chosen.device_plugin_dir,
            pod_resources_socket=chosen.pod_resources_socket,
            api=api,
            clock=time.monotonic,
            on_change=agent.kubelet_changed,
            verify=agent.exists,
            handing=handing_of(chosen, edges),
        )
    return NvidiaPlugin(
        node_name=chosen.node_name,
        namespace=chosen.nvidia_plugin_namespace,
        selectors=chosen.nvidia_plugin_selectors,
        pod_resources_socket=chosen.pod_resources_socket,
        api=api,
        node=NodeView(state, look=agent.look, clock=time.monotonic),
        clock=time.monotonic,
        on_change=agent.kubelet_changed,
    )


def handing_of(chosen: Options, edges: Edges) -> Handing:
    """How containers are told their slice."""
    nodes = DeviceNodes(dev=chosen.host_dev, proc=chosen.proc_dir)
    if chosen.device_list_strategy is DeviceListStrategy.ENVVAR:
        return EnvVar(nodes, device_root=chosen.device_root)
    return CdiFolder(
        chosen.cdi_dir,
        nodes=nodes,
        device_root=chosen.device_root,
        folders=(chosen.cdi_dir, Path("/etc/cdi")),
        replace=edges.replace,
    )


def boot_id_file() -> Path:
    """Where the kernel says which boot this is; a simulated node says it elsewhere."""
    return Path(os.environ.get("NOS_MIG_BOOT_ID_FILE", "/proc/sys/kernel/random/boot_id"))
