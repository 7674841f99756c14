"""NVIDIA's device plugin as a cluster runs it: a DaemonSet whose Pods the real controller makes anew, and a process behind each.

The Pod's container only pretends to run, so the process of `tests.support.nvidia_plugin` is started when the Pod runs, and ended
when the Pod is deleted, as its container would be.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kube.client import Api
from kube.errors import AlreadyExists, NotFound
from kube.resource import DAEMON_SETS, NAMESPACES, NODES, PODS
from mig.profiles import is_mig_resource
from simgpu import SimNode

NAMESPACE = "gpu-operator"
NAME = "nvidia-device-plugin-daemonset"
SELECTOR = "app in (nvidia-device-plugin-daemonset, nvidia-device-plugin)"
ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.05


@dataclass
class NvidiaDaemonSet:
    """What a test holds. `delay_s` is from the Pod's start to the process's."""

    api: Api
    node: str
    device_plugin_dir: Path
    sim: SimNode
    log_file: Path
    delay_s: float = 0.0
    pods: list[str] = field(default_factory=list)
    """The uid of each Pod behind which a process was started."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def starts(self) -> int:
        """How often a process was started."""
        return len(self.pods)

    @property
    def log(self) -> str:
        """What all processes printed."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    async def create(self) -> None:
        """Install it."""
        with contextlib.suppress(AlreadyExists):
            await self.api.create(
                NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            )
        await self.api.create(DAEMON_SETS, _daemon_set())

    async def counts(self) -> dict[str, int]:
        """How many slices of each profile the Node counts."""
        node = await self.api.get(NODES, self.node)
        allocatable = node["status"]["allocatable"].items()
        return {name: int(count) for name, count in allocatable if is_mig_resource(name) and count != "0"}

    async def uncount(self) -> None:
        """Let the Node count nothing, as the kubelet would say some seconds after an earlier test's slices went."""
        counts = {"allocatable": dict.fromkeys(await self.counts(), "0")}
        await self.api.merge_patch(NODES, self.node, {"status": counts}, subresource="status")

    async def down(self) -> None:
        """No node is for it any more: the controller deletes its Pod."""
        await self._select({"nobody": "has-this-label"})

    async def up(self) -> None:
        """It may run again."""
        await self._select({"nobody": None})

    async def until_logged(self, word: str, *, times: int = 1, within_s: float = 30.0) -> None:
        """Wait until its processes have said so, `enumerated` or `registered`, so often."""
        async with asyncio.timeout(within_s):
            while True:
                if self.log.count(word) >= times:
                    return
                await asyncio.sleep(POLL_S)

    async def run(self) -> None:
        """Let the process follow its Pod. Eternal."""
        while True:
            pod = await self._pod()
            if pod is None or self.pods[-1:] != [pod]:
                await self.end()
            if pod is not None and self.pods[-1:] != [pod]:
                await asyncio.sleep(self.delay_s)
                self.start()
                self.pods.append(pod)
            await asyncio.sleep(POLL_S)

    async def clean(self) -> None:
        """Take everything away."""
        await self.end()
        with contextlib.suppress(NotFound):
            await self.api.delete(DAEMON_SETS, NAME, namespace=NAMESPACE)
        async with asyncio.timeout(20):
            while True:
                if not await self._all_pods():
                    return
                await asyncio.sleep(POLL_S)

    def start(self) -> None:
        """Start its process; while installed it is started by itself."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nvidia_plugin", str(self.device_plugin_dir)],
                cwd=ROOT,
                env={**os.environ, **self.sim.environment()},
                stdout=log,
                stderr=log,
            )

    async def end(self) -> None:
        """End its process, as SIGKILL does."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            await asyncio.to_thread(process.wait)

    async def _pod(self) -> str | None:
        """The uid of the Pod that runs now, if one does."""
        pods = await self._all_pods()
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return next((pod["metadata"]["uid"] for pod in alive if pod["status"].get("phase") == "Running"), None)

    async def _all_pods(self) -> list[dict[str, Any]]:
        items, _ = await self.api.list(
            PODS, namespace=NAMESPACE, label_selector=SELECTOR, field_selector=f"spec.nodeName={self.node}"
        )
        return items

    async def _select(self, labels: dict[str, str | None]) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        await self.api.merge_patch(DAEMON_SETS, NAME, patch, namespace=NAMESPACE)


@contextlib.asynccontextmanager
async def installed(daemon_set: NvidiaDaemonSet) -> AsyncIterator[NvidiaDaemonSet]:
    """Have it in the cluster, its process following its Pod, while the block runs."""
    await daemon_set.create()
    task = asyncio.create_task(daemon_set.run())
    try:
        yield daemon_set
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await daemon_set.clean()


def _daemon_set() -> dict[str, Any]:
    labels = {"app": NAME}
    pod = {
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "nvidia-device-plugin-ctr", "image": "pretended", "command": ["forever"]}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
