"""Our half beside NVIDIA's plugin, between a model kubelet and a model API server on real sockets.

What the agent knows is the test's. What the plugin has enumerated is what the model kubelet lists as somebody else's devices.
Time can be put ahead.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mig.migspec import MigMode
from mig.profiles import Profile
from nodeagent.kubelet.offers import Device
from nodeagent.nvidia.node import NodeView
from nodeagent.nvidia.plugin import NvidiaPlugin
from nodeagent.state import GpuRecord, NodeState
from nodeagent.values import DriverFacts, Gpu
from tests.support.apiserver import ApiServer, api_server
from tests.support.instances import GPU, instance
from tests.support.model_kubelet import ModelKubelet

NODE, NAMESPACE, NAME = "node-1", "gpu-operator", "nvidia-device-plugin"
SELECTORS = (f"app={NAME}", f"app.kubernetes.io/name={NAME}")
PODS = "api/v1/pods"


@dataclass
class NvidiaScene:
    """What a test holds."""

    kubelet: ModelKubelet
    server: ApiServer
    state: NodeState
    folder: Path
    ahead_s: float = 0.0
    looks: int = 0
    answers: bool = True
    """Whether looks are answered."""
    ours: NvidiaPlugin = field(init=False)

    def clock(self) -> float:
        """Seconds; put ahead by the test."""
        return time.monotonic() + self.ahead_s

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead_s += seconds
        self.state.changed.fire()

    async def skip_until(self, condition: Callable[[], bool], *, what: str) -> float:
        """Let time fly until a condition holds; how many seconds that took."""
        began = self.clock()

        def flown() -> bool:
            self.skip(0.5)
            return condition()

        await self.kubelet.until(flown, what=what, within_s=15)
        return self.clock() - began

    async def look(self) -> bool:
        """Stand in for the looker, whose answer is in the state already."""
        self.looks += 1
        await asyncio.sleep(0)
        return self.answers

    def make(self, *places: str) -> None:
        """These slices are on the GPU and ours, `1g.10gb@0+1` with the UUID `MIG-0`; they are offered."""
        made = tuple(instance(place, gi=int(place.partition("@")[2][0])) for place in places)
        record = self.state.gpus[0]
        record.instances, record.owned = made, frozenset(item.gi for item in made)
        for item in made:
            self.ours.offer(Device(item.uuid, item.placed.profile, item.gpu, item.placed.window))
        self.state.changed.fire()

    def enumerated(self, profile: Profile, *device_ids: str) -> None:
        """The kubelet lists these."""
        self.kubelet.foreign[profile.resource] = set(device_ids)
        self.state.changed.fire()

    async def plugin_runs(self, *, label: str = "app", name: str = NAME, container: str = f"{NAME}-ctr") -> None:
        """Its DaemonSet has made a Pod, which runs."""
        pod = {
            "metadata": {"name": name, "labels": {label: NAME}},
            "spec": {"nodeName": NODE, "containers": [{"name": container}]},
            "status": {"phase": "Running", "containerStatuses": [{"state": {"running": {}}, "restartCount": 0}]},
        }
        self.server.store.create(PODS, NAMESPACE, pod)
        await self.server.notify()

    @property
    def starts(self) -> int:
        """How often the plugin's Pod was to be deleted."""
        return sum(method == "DELETE" for method, _ in self.server.requests)

    def count(self, profile: Profile) -> str | None:
        """What the Node counts."""
        node = self.server.store.get("api/v1/nodes", "", NODE)
        value: str | None = node["status"].get("allocatable", {}).get(profile.resource)
        return value


@contextlib.asynccontextmanager
async def nvidia_scene(folder: Path) -> AsyncIterator[NvidiaScene]:
    """One GPU without slices, a plugin that runs and has enumerated nothing, and our half."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    state = NodeState(NODE, "boot-1", driver=DriverFacts("580.95.05", 1), looked=True)
    state.gpus[0] = GpuRecord(0, gpu=Gpu(GPU, 0, "NVIDIA A100-SXM4-80GB", MigMode.ENABLED))
    async with api_server() as server, server.connect(server.kubeconfig(folder / "config")) as api:
        node: dict[str, Any] = {"metadata": {"name": NODE}, "status": {"capacity": {"cpu": "2"}}}
        server.store.create("api/v1/nodes", "", node)
        scene = NvidiaScene(kubelet, server, state, folder)
        await scene.plugin_runs()
        scene.ours = NvidiaPlugin(
            node_name=NODE,
            namespace=NAMESPACE,
            selectors=SELECTORS,
            pod_resources_socket=kubelet.pod_resources,
            api=api,
            node=NodeView(state, look=scene.look, clock=scene.clock),
            clock=scene.clock,
            on_change=state.changed.fire,
        )
        scene.ours.node_seen(server.store.get("api/v1/nodes", "", NODE))
        task = asyncio.create_task(scene.ours.run())
        try:
            yield scene
            assert not task.done(), task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await kubelet.stop()
