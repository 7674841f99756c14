"""What a test on the real control plane does: create Pods, watch what becomes of them, look at nodes, hardware and containers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from demo.onlooker import MIGSPECS, Onlooker
from demo.stack import Stack, StackNode
from demo.timeline import PodTrack, Step, Timeline
from kube.client import Api
from kube.errors import NotFound
from kube.resource import EVENTS, NAMESPACES, PODS, Resource
from mig.migspec import MigSpec, SliceState, StatusSlice

BINDINGS = Resource("", "v1", "bindings")

PATIENCE_S = 30.0
"""How long anything may take before a test fails; nothing here is a measurement."""


def container(name: str, profile: str | None = None, **fields: Any) -> dict[str, Any]:
    """A container that asks for one slice, or none; it runs for ever unless `command` says otherwise."""
    limits = {f"nvidia.com/mig-{profile}": 1} if profile else {}
    return {
        "name": name,
        "image": "busybox:latest",
        "command": ["sleep", "infinity"],
        "resources": {"limits": limits},
        **fields,
    }


def pod(name: str, *profiles: str, **spec: Any) -> dict[str, Any]:
    """A Pod with a container for each profile: `main`, `c1`, `c2`."""
    containers = [container("main" if n == 0 else f"c{n}", profile) for n, profile in enumerate(profiles)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": containers, **spec},
    }


class World:
    """A test's hands and eyes; `namespace` is the test's own."""

    def __init__(self, stack: Stack, api: Api, onlooker: Onlooker, namespace: str) -> None:
        self.stack = stack
        self.api = api
        self.namespace = namespace
        self._onlooker = onlooker

    @property
    def timeline(self) -> Timeline:
        """All that was seen."""
        return self._onlooker.timeline

    def track(self, name: str) -> PodTrack:
        """What is known of a Pod of this test."""
        track = self.timeline.named(name, self.namespace)
        assert track is not None, f"no Pod {name} was seen"
        return track

    def migspec(self, node: str) -> MigSpec:
        """The newest MigSpec of a node."""
        return self.timeline.migspecs[node]

    def node(self, name: str) -> StackNode:
        """One node's kubelet and hardware."""
        return self.stack.nodes[name]

    async def create(self, *manifests: Mapping[str, Any]) -> None:
        """Create Pods at once and wait until the watch shows them; raises what the API server says."""
        for manifest in manifests:
            self.timeline.submitted(self.namespace, manifest["metadata"]["name"], self._onlooker.clock())
        await asyncio.gather(
            *(self.api.create(PODS, dict(manifest), namespace=self.namespace) for manifest in manifests)
        )
        for manifest in manifests:
            await self.until(partial(self._has, manifest["metadata"]["name"], Step.CREATED), "the new Pod")

    async def until(self, holds: Callable[[], Any], what: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until something is seen to be so; fails with what is there instead."""
        seen = await self._onlooker.until(lambda _: bool(holds()), timeout_s=timeout_s)
        assert seen, f"never seen: {what}\n{self.describe()}"

    async def poll(self, holds: Callable[[], Any], what: str, *, timeout_s: float = PATIENCE_S) -> None:
        """As `until`, for what no watch shows."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, f"never so: {what}\n{self.describe()}"
            await asyncio.sleep(0.05)

    async def event(self, reason: str, *, kind: str, name: str) -> dict[str, Any]:
        """Wait for an Event with this reason that is about this object, or about another and names it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                events, _ = await self.api.list(EVENTS)
                for item in events:
                    about = item["regarding"]
                    if (
                        item["reason"] == reason
                        and about["kind"] == kind
                        and name in (about["name"], *item["note"].split())
                    ):
                        return item
                await asyncio.sleep(0.1)

    async def bind(self, name: str, node: str) -> None:
        """Bind a Pod, as a scheduler does."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        await self.api.create(BINDINGS, {"metadata": {"name": name}, "target": target}, namespace=self.namespace)

    async def running(self, *names: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until these Pods have started to run."""
        for name in names:
            await self.until(partial(self._has, name, Step.RUNNING), f"{name} running", timeout_s=timeout_s)

    async def waiting(self, name: str, reason: str) -> None:
        """Wait until a Pod says that it waits for this reason."""
        await self.until(
            lambda: self._has(name, Step.CREATED) and self.track(name).reason == reason, f"{name} waits: {reason}"
        )

    def _has(self, name: str, step: Step) -> bool:
        track = self.timeline.named(name, self.namespace)
        return track is not None and step in track.steps

    def _gone(self, name: str) -> bool:
        return self.track(name).gone

    async def get(self, name: str) -> dict[str, Any]:
        """A Pod as the API server has it."""
        return await self.api.get(PODS, name, namespace=self.namespace)

    def labels(self, node: str) -> dict[str, str]:
        """The labels of a Node."""
        labels: dict[str, str] = json.loads(self.stack.cluster.kubectl("get", "node", node, "-o", "json"))["metadata"][
            "labels"
        ]
        return labels

    async def get_migspec(self, name: str) -> dict[str, Any]:
        """A MigSpec as the API server has it."""
        return await self.api.get(MIGSPECS, name)

    async def delete(self, *names: str) -> None:
        """Delete Pods and wait until they are gone."""
        for name in names:
            try:
                await self.api.delete(PODS, name, namespace=self.namespace)
            except NotFound:
                continue
        for name in names:
            await self.until(partial(self._gone, name), f"{name} gone")

    def environment(self, node: str, pod_name: str, container_name: str = "main") -> dict[str, str]:
        """The environment that the kubelet gave a container (its newest attempt)."""
        stem = f"{self.namespace}_{pod_name}_{container_name}_"
        records = sorted(
            self.node(node).node.containers_dir.glob(f"{stem}*.json"), key=lambda path: path.stat().st_mtime
        )
        assert records, f"{node} has no container {stem}*"
        env: dict[str, str] = json.loads(records[-1].read_text())["env"]
        return env

    def device(self, node: str, pod_name: str, container_name: str = "main") -> str:
        """The MIG device that a container sees."""
        return self.environment(node, pod_name, container_name)["NVIDIA_VISIBLE_DEVICES"]

    def hardware(self, node: str) -> dict[str, tuple[str, str, int]]:
        """MIG device UUID → (GPU UUID, profile, start) of everything that exists on a node."""
        return {
            ci.uuid: (gpu.uuid, gi.profile, gi.start)
            for gpu in self.node(node).sim.gpus
            for gi in gpu.instances
            for ci in gi.compute_instances
        }

    def slices(self, node: str, state: SliceState | None = None) -> list[StatusSlice]:
        """What the agent reports."""
        status = self.migspec(node).status
        return [
            item
            for gpu in (status.gpus if status else ())
            for item in gpu.slices
            if state is None or item.state is state
        ]

    def assert_sees_its_slice(self, name: str, *containers: str) -> None:
        """Each container sees the very device that its allocation names, and it exists."""
        track = self.track(name)
        for container_name in containers or ("main",):
            place = track.allocation[container_name]
            seen = self.device(track.node, name, container_name)
            assert self.hardware(track.node)[seen] == (place["gpu"], place["profile"], place["start"])

    def describe(self) -> str:
        """What is there, for a failed test."""
        lines = [
            f"{p.name}: {p.phase} {p.node} {p.reason}: {p.message} {list(p.steps)}" for p in self.timeline.pods.values()
        ]
        lines += [f"{name}: {spec.spec} {spec.status}" for name, spec in self.timeline.migspecs.items()]
        return "\n".join(lines)


@asynccontextmanager
async def world(stack: Stack, namespace: str) -> AsyncIterator[World]:
    """A world with a namespace of its own; at the end every Pod is deleted, and no claim may be left."""
    async with Api.connect(stack.cluster.kubeconfig, user_agent="nos-mig-tests") as api:
        await api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        async with Onlooker(api).watching() as onlooker:
            here = World(stack, api, onlooker, namespace)
            await here.until(lambda: set(stack.nodes) <= set(here.timeline.migspecs), "a MigSpec for every node")
            await _cold(here)
            try:
                yield here
            finally:
                await _clear(here)


async def _cold(here: World) -> None:
    """No slice from an earlier test: the nodes are taken back, which removes the free ones, and handed over again."""
    warm = [node for node in here.stack.nodes if here.slices(node)]
    if not warm:
        return
    await asyncio.to_thread(here.stack.take_back, *warm)
    await here.until(lambda: not set(warm) & set(here.timeline.migspecs), "the MigSpecs gone")
    await asyncio.to_thread(here.stack.hand_over, *warm)
    await here.until(
        lambda: all((spec := here.timeline.migspecs.get(node)) and spec.spec.gpus for node in warm), "GPUs taken over"
    )


async def _clear(here: World) -> None:
    pods, _ = await here.api.list(PODS, namespace=here.namespace)
    for left in pods:
        try:
            await here.api.delete(PODS, left["metadata"]["name"], namespace=here.namespace)
        except NotFound:
            continue
    await here.until(
        lambda: not any(list(spec.spec.claims()) for spec in here.timeline.migspecs.values()),
        "every claim released after its Pod",
    )
