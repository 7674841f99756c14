"""A real kubelet's node with our `Kubelet` beside it, in the test's own event loop and fed the Node's watch as in the agent."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster import Cluster, Node
from kube.client import Api
from kube.listwatch import list_watch, raw
from kube.resource import NODES, PODS
from kube.watchstate import Upsert
from mig.profiles import Profile
from nodeagent.kubelet.handing import Handing
from nodeagent.kubelet.own import Kubelet
from tests.support.handing import by_variable


@dataclass
class RealNode:
    """What a test holds."""

    api: Api
    node: Node
    kubelet: Kubelet
    unverified: set[str] = field(default_factory=set)
    """UUIDs whose slice the "hardware" no longer has."""
    shown: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)
    """Each status of the Node that the watch brought, and when."""

    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def until(self, condition: Callable[[], bool], *, what: str, within_s: float = 20.0) -> None:
        """Wait for a condition; a time-out names it. Fails at once when something that should run for ever has ended."""
        give_up = time.monotonic() + within_s
        while not condition():
            for task in self.tasks:
                if task.done():
                    task.result()
            assert time.monotonic() < give_up, f"not within {within_s:g} s: {what}"
            await asyncio.sleep(0.002)

    def allocatable(self, profile: Profile) -> str | None:
        """The count that the watch showed last."""
        return self.shown[-1][1]["allocatable"].get(profile.resource) if self.shown else None

    async def create_pod(self, name: str, profile: Profile, **spec: Any) -> None:
        """A Pod with one container, `main`, that runs for ever on one slice."""
        container = {"name": "main", "image": "busybox", "resources": {"limits": {profile.resource: "1"}}}
        whole = {"containers": [container], "terminationGracePeriodSeconds": 0, **spec}
        metadata = {"name": name, "namespace": "default"}
        await self.api.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole})

    async def pod_status(self, name: str) -> Mapping[str, Any]:
        """Its status now."""
        status: Mapping[str, Any] = (await self.api.get(PODS, name, namespace="default"))["status"]
        return status

    async def wait_phase(self, name: str, *phases: str, within_s: float = 20.0) -> Mapping[str, Any]:
        """Its status once it is in one of the phases."""
        give_up = time.monotonic() + within_s
        while (status := await self.pod_status(name)).get("phase") not in phases:
            assert time.monotonic() < give_up, f"Pod {name} is {status} after {within_s:g} s, not {phases}"
            await asyncio.sleep(0.05)
        return status

    async def delete_pod(self, name: str) -> None:
        """Delete it, and wait until it is gone from the API server."""
        await self.api.delete(PODS, name, namespace="default")
        give_up = time.monotonic() + 20
        while any(pod["metadata"]["name"] == name for pod in (await self.api.list(PODS))[0]):
            assert time.monotonic() < give_up, f"Pod {name} is still there"
            await asyncio.sleep(0.05)

    def container_env(self, pod: str, container: str = "main") -> dict[str, str]:
        """The environment that the kubelet gave the newest attempt of a container."""
        records = sorted(self.node.containers_dir.glob(f"default_{pod}_{container}_*.json"))
        config = json.loads(records[-1].read_text())
        return dict(config["env"])


@contextlib.asynccontextmanager
async def running_beside(
    cluster: Cluster,
    node: Node,
    handing: Handing | None = None,
    *,
    on_change: Callable[[], None] = lambda: None,
) -> AsyncIterator[RealNode]:
    """Run our `Kubelet` beside a node's."""
    async with Api.connect(cluster.kubeconfig, user_agent="nos-mig-tests") as api:
        unverified: set[str] = set()
        kubelet = Kubelet(
            node_name=node.name,
            device_plugin_dir=node.device_plugin_dir,
            pod_resources_socket=node.pod_resources_socket,
            api=api,
            clock=time.monotonic,
            on_change=on_change,
            verify=lambda device_id: device_id not in unverified,
            handing=handing or by_variable(node.directory),
        )
        real = RealNode(api, node, kubelet, unverified)
        real.tasks += [asyncio.create_task(kubelet.run()), asyncio.create_task(_watch(real))]
        try:
            yield real
        finally:
            for task in real.tasks:
                task.cancel()
            for result in await asyncio.gather(*real.tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result
    # aiohttp ends TLS connections in the background; a loop that stops before warns about them.
    await asyncio.sleep(0.1)


async def _watch(real: RealNode) -> None:
    events = list_watch(real.api, NODES, decode=raw, field_selector=f"metadata.name={real.node.name}")
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, Upsert):
                real.shown.append((time.monotonic(), event.obj["status"]))
                real.kubelet.node_seen(event.obj)
