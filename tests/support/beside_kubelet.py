"""Our `Kubelet` between a model kubelet and a model API server, all on real sockets."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeagent.kubelet.handing import Handing
from nodeagent.kubelet.own import Kubelet
from tests.support.apiserver import ApiServer, api_server
from tests.support.handing import by_variable
from tests.support.model_kubelet import ModelKubelet

NODE = "node-1"


@dataclass
class Beside:
    """What a test holds."""

    kubelet: ModelKubelet
    server: ApiServer
    ours: Kubelet
    gone: set[str] = field(default_factory=set)
    """Slices that are not on their GPU any more."""
    changes: int = 0

    def node(self) -> dict[str, Any]:
        """The Node as stored."""
        return self.server.store.get("api/v1/nodes", "", NODE)

    def count(self, resource: str, part: str = "allocatable") -> str | None:
        """One of its counts."""
        value: str | None = self.node()["status"].get(part, {}).get(resource)
        return value

    async def kubelet_writes(self, resource: str, count: str) -> None:
        """The real kubelet writes its own, older view; our watch sees it."""
        node = self.node()
        node["status"].setdefault("allocatable", {})[resource] = count
        self.server.store.update("api/v1/nodes", "", NODE, node, subresource="status")
        self.ours.node_seen(self.node())

    @property
    def patches(self) -> int:
        """How many writes of the Node there were."""
        return sum(method == "PATCH" for method, _ in self.server.requests)


@contextlib.asynccontextmanager
async def beside(kubelet: ModelKubelet, folder: Path, handing: Handing | None = None) -> AsyncIterator[Beside]:
    """Run everything; the kubelet is started already unless the test wants it otherwise."""
    async with api_server() as server, server.connect(server.kubeconfig(folder / "config")) as api:
        server.store.create("api/v1/nodes", "", {"metadata": {"name": NODE}, "status": {"capacity": {"cpu": "2"}}})
        ours = Kubelet(
            node_name=NODE,
            device_plugin_dir=kubelet.plugins,
            pod_resources_socket=kubelet.pod_resources,
            api=api,
            clock=time.monotonic,
            on_change=lambda: _changed(scene),
            verify=lambda device_id: device_id not in scene.gone,
            handing=handing or by_variable(folder),
        )
        scene = Beside(kubelet, server, ours)
        ours.node_seen(scene.node())
        task = asyncio.create_task(ours.run())
        try:
            yield scene
            assert not task.done(), task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await kubelet.stop()


def _changed(scene: Beside) -> None:
    scene.changes += 1
