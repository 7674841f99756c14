"""The allocator as a process on a real API server, with its ServiceAccount's rights, and the little of a node that it needs.

Nodes are objects alone and their agent is a few lines.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from allocator.watching import MIGSPECS
from cluster.cluster import Cluster
from kube.client import Api
from kube.resource import NODES, PODS
from mig.migspec import Condition, MigMode, SliceState, Status, StatusGpu, StatusSlice
from mig.migspec_json import migspec_from_json, status_to_json
from tests.allocator import objects
from tests.support.chart import NAMESPACE, NOBODY, install
from tests.support.shapes import shapes

READY = [{"type": "Ready", "status": "True", "reason": "Test", "lastHeartbeatTime": None}]
GPU = "GPU-00000000-0000-0000-0000-000000000001"


@contextlib.contextmanager
def chart_cluster(name: str) -> Iterator[Cluster]:
    """A cluster with the chart, its workloads off; Pods are to be made as the webhook leaves them."""
    with Cluster.start(name=name) as running:
        install(running, "--set", f"webhook.url={NOBODY}")
        running.kubectl("delete", "mutatingwebhookconfiguration", "nos-mig")
        yield running


@contextlib.asynccontextmanager
async def allocator(cluster: Cluster, folder: Path, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """One process, as the demo starts it but for a short lease."""
    kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "nos-mig-allocator")
    command = [sys.executable, "-m", "cli", "allocator", "--namespace", NAMESPACE, "--kubeconfig", str(kubeconfig)]
    command += ["--identity", name, "--health-port", "0", "--ready-file", str(folder / name)]
    command += ["--lease-duration", "4", "--renew-deadline", "3", "--retry-period", "0.5"]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                await process.wait()


async def agent(api: Api, node: str) -> None:
    """Makes every wish true at once, and says so."""
    for obj in (await api.list(MIGSPECS))[0]:
        migspec = migspec_from_json(obj)
        if migspec.name != node or (migspec.status and migspec.status.observed_generation == migspec.generation):
            continue
        slices = [item for gpu in migspec.spec.gpus for item in gpu.slices]
        there = tuple(StatusSlice(item.window, item.profile, SliceState.FREE, "MIG-1") for item in slices)
        shape = shapes()["a100-80gb"]
        gpu = StatusGpu(GPU, 0, "NVIDIA A100-SXM4-80GB", MigMode.ENABLED, shape.width, shape.offers, there)
        well = Condition("Healthy", "True", "Healthy", "", 0, "2026-01-01T00:00:00Z")
        counts = {item.profile.resource: "7" for item in slices}
        await api.merge_patch(
            NODES, node, {"status": {"capacity": counts, "allocatable": counts}}, subresource="status"
        )
        status = status_to_json(Status(migspec.generation, "boot", "580", (gpu,), (well,)))
        await api.json_patch(MIGSPECS, node, [{"op": "add", "path": "/status", "value": status}], subresource="status")


async def until(api: Api, node: str, true: Callable[[dict[str, Any]], object], name: str) -> dict[str, Any]:
    """Let the agent work until something holds of a Pod; gives the Pod."""
    async with asyncio.timeout(30):
        while True:
            await agent(api, node)
            pod = await api.get(PODS, name, namespace="default")
            if true(pod):
                return pod
            await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds, for at most 20 s."""
    async with asyncio.timeout(20):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.1)


async def _is_untainted(api: Api, node: str) -> bool:
    return not (await api.get(NODES, node))["spec"].get("taints")


async def make_node(api: Api, name: str) -> None:
    """A Ready Node, handed over."""
    room = {"cpu": "8", "memory": "8Gi", "pods": "20"}
    await api.create(NODES, {"apiVersion": "v1", "kind": "Node", **objects.node(name)})
    status = {"status": {"allocatable": room, "capacity": room, "conditions": READY}}
    await api.merge_patch(NODES, name, status, subresource="status")
    # The node controller takes its taint away once it has seen the Node Ready.
    await eventually(lambda: _is_untainted(api, name))


def is_let_go(pod: dict[str, Any]) -> bool:
    """Whether no gate is on it any more."""
    return not pod["spec"].get("schedulingGates")


def small_pod(name: str, *profiles: str, **spec: Any) -> dict[str, Any]:
    """As the webhook leaves it, and as the API server takes it."""
    made = objects.pod(name, *profiles, cpu="10m", **spec)
    del made["spec"]["priority"]
    for container in made["spec"]["containers"]:
        container["image"] = "busybox"
    return {"apiVersion": "v1", "kind": "Pod", **made}
