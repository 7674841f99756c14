"""One agent process on a real node with simulated GPUs; the test stands in for the allocator and writes the spec."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from demo.stack import NAMESPACE, Stack
from kube.client import Api
from kube.errors import ApiError, Invalid, NotFound
from kube.events import micro_time
from kube.resource import EVENTS, NODES, PODS, Resource
from mig.migspec import Claim, MigSpec, SliceState, Spec, SpecGpu, SpecSlice, Status, StatusSlice
from mig.migspec_json import migspec_from_json, new_migspec, spec_to_json
from mig.names import ADOPT_ANNOTATION, PARTITIONING_LABEL, PARTITIONING_MIG
from nodeagent.telling.publisher import MIGSPECS
from simgpu import SimNode
from tests.support.instances import placed

POLL_S = 0.02

BINDINGS: Final = Resource("", "v1", "bindings")

T = TypeVar("T")


@dataclass
class AgentHost:
    """What a test holds. GPUs are named by their index, slices as `3g.40gb@4+4`."""

    api: Api
    stack: Stack
    node: str
    sim: SimNode
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    """More of the command line."""
    process: subprocess.Popen[bytes] | None = None
    kubeconfig: Path | None = None
    pods: list[str] = field(default_factory=list)
    began: str = field(default_factory=lambda: micro_time(datetime.now(UTC)))
    """When the test began, as Events write times."""

    @property
    def state_dir(self) -> Path:
        """The agent's state folder."""
        return self.folder / "state"

    @property
    def log(self) -> str:
        """All that agents of this test logged."""
        return (self.folder / "agent.log").read_text(errors="replace")

    def start(self, *arguments: str, driver: bool = True) -> None:
        """Start an agent, with or without a driver in its reach, with more arguments than it needs."""
        here = self.stack.nodes[self.node].node
        self.kubeconfig = self.kubeconfig or self.stack.cluster.service_account_kubeconfig(
            NAMESPACE, "nos-mig-nodeagent", node=self.node
        )
        (self.folder / "ready.json").unlink(missing_ok=True)
        argv = [
            *(str(Path(sys.executable).with_name("nos-mig")), "nodeagent", "--node-name", self.node),
            *("--device-plugin-dir", str(here.device_plugin_dir)),
            *("--pod-resources-socket", str(here.pod_resources_socket)),
            *("--state-dir", str(self.state_dir), "--kubeconfig", str(self.kubeconfig)),
            *("--health-port", "0", "--ready-file", str(self.folder / "ready.json"), *arguments),
            *("--host-dev", str(self.sim.root / "dev"), "--proc-dir", str(self.sim.root / "proc")),
            *self.arguments,
        ]
        found = self.sim.environment() if driver else {}
        boot = {"NOS_MIG_BOOT_ID_FILE": str(self.sim.directory / "boot_id")}
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(argv, env={**os.environ, **boot, **found, **self.environment}, stderr=log)

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """End the agent."""
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(timeout=20)
            self.process = None

    async def hand_over(self) -> None:
        """Label the Node as an admin does who hands it over."""
        await self.api.merge_patch(NODES, self.node, {"metadata": {"labels": {PARTITIONING_LABEL: PARTITIONING_MIG}}})

    async def adopt(self, value: str | None) -> None:
        """Annotate it with the foreign slices to take over; None takes the annotation away."""
        await self.api.merge_patch(NODES, self.node, {"metadata": {"annotations": {ADOPT_ANNOTATION: value}}})

    async def take_back(self) -> None:
        """Undo that."""
        marks = {"labels": {PARTITIONING_LABEL: None}, "annotations": {ADOPT_ANNOTATION: None}}
        await self.api.merge_patch(NODES, self.node, {"metadata": marks})

    async def want(self, gpus: Mapping[int, Sequence[str]], *, epoch: int = 1) -> int:
        """Write the spec as the allocator would, and give its generation."""
        return await self.write(spec_to_json(self._spec(gpus, epoch=epoch)))

    def _spec(self, gpus: Mapping[int, Sequence[str]], *, epoch: int) -> Spec:
        return Spec(
            epoch,
            tuple(
                SpecGpu(self.sim.gpus[index].uuid, tuple(SpecSlice(p.window, p.profile) for p in map(placed, places)))
                for index, places in gpus.items()
            ),
        )

    async def write(self, spec: Mapping[str, Any]) -> int:
        """Write any spec. Only the spec is patched, so that a report that comes meanwhile is no conflict."""
        replaced = [{"op": "replace", "path": "/spec", "value": dict(spec)}]
        try:
            obj = await self.api.json_patch(MIGSPECS, self.node, replaced)
        except NotFound:
            uid = (await self.api.get(NODES, self.node))["metadata"]["uid"]
            fresh = {**new_migspec(node=self.node, node_uid=uid, spec=Spec(0)), "spec": dict(spec)}
            obj = await self.api.create(MIGSPECS, fresh)
        return int(obj["metadata"]["generation"])

    async def force(self, spec: Mapping[str, Any]) -> int:
        """Write a spec that the API server refuses until it has taken in that the rules are gone."""
        async with asyncio.timeout(20):
            while True:
                try:
                    return await self.write(spec)
                except Invalid:
                    await asyncio.sleep(10 * POLL_S)

    async def migspec(self) -> MigSpec:
        """The MigSpec as stored."""
        return migspec_from_json(await self.api.get(MIGSPECS, self.node))

    async def until_whatever(self, condition: Callable[[Status], bool], what: str) -> Status:
        """Wait for a report of whatever generation for which the condition holds."""
        return await self.until(condition, what, judged=False)

    async def until_event(self, kind: str, reason: str, *, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many Events about the Node, the MigSpec or Pods, made since this test began."""

        async def found() -> list[dict[str, Any]]:
            events, _ = await self.api.list(EVENTS, namespace="default")
            return [
                event
                for event in events
                if event["regarding"]["kind"] == kind and event["reason"] == reason and event["eventTime"] >= self.began
            ]

        await _poll(found, lambda events: len(events) >= number, f"{number} Events {reason} about {kind}")
        return await found()

    async def until(
        self, condition: Callable[[Status], bool], what: str, *, within_s: float = 20.0, judged: bool = True
    ) -> Status:
        """Wait for a report (of the present generation) for which the condition holds; a time-out shows the last report."""
        found: MigSpec | None = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = await self.migspec()
                    status = found.status
                    if status and (not judged or status.observed_generation == found.generation) and condition(status):
                        return status
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise AssertionError(f"not within {within_s:g} s: {what}; last {found}\n{self.log[-4000:]}") from error

    async def until_free(self, gpu: int, *places: str, within_s: float = 20.0) -> list[StatusSlice]:
        """Wait until a GPU holds exactly these slices of ours, all Free."""
        wanted = sorted(map(placed, places))

        def reached(status: Status) -> bool:
            here = slices(status, self.sim.gpus[gpu].uuid)
            return [item.placed for item in here] == wanted and {item.state for item in here} <= {SliceState.FREE}

        return slices(await self.until(reached, f"{places} free", within_s=within_s), self.sim.gpus[gpu].uuid)

    def hardware(self, gpu: int) -> set[tuple[str, int, bool]]:
        """What is really on a GPU: profile, start, and whether it has a CI."""
        return {(i.profile, i.start, bool(i.compute_instances)) for i in self.sim.gpus[gpu].instances}

    async def claim(self, gpu: int, place: str, *, pod: str, uid: str) -> int:
        """Write a spec of one slice, which the Pod's container `main` claims, and give its generation."""
        item = placed(place)
        wanted = SpecSlice(item.window, item.profile, Claim(uid=uid, container="main", namespace="default", pod=pod))
        return await self.write(spec_to_json(Spec(1, (SpecGpu(self.sim.gpus[gpu].uuid, (wanted,)),))))

    async def write_claims(self, gpus: Mapping[int, Sequence[str]], claims: Mapping[str, str], *, epoch: int) -> int:
        """As `want`, with claims: place → name of the Pod whose container `main` has it."""
        spec = spec_to_json(self._spec(gpus, epoch=epoch))
        for item in (item for gpu in spec["gpus"] for item in gpu["slices"]):
            pod = claims.get(f"{item['profile']}@{item['start']}+{item['size']}")
            if pod is not None:
                item["claim"] = {"namespace": "default", "pod": pod, "uid": f"uid-of-{pod}", "container": "main"}
        return await self.write(spec)

    def changes(self) -> dict[str, int]:
        """The calls to the driver since `sim.reset_calls` that change hardware, and how often."""
        words = ("Create", "Destroy", "SetMig")
        return {name: count for name, count in self.sim.calls().items() if any(word in name for word in words)}

    async def run_pod(
        self, name: str, profile: str, *command: str, init: Sequence[Mapping[str, Any]] = (), **more: Any
    ) -> str:
        """Create a Pod of one container, after its init containers, with more in its spec, and give its uid."""
        self.pods.append(name)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "initContainers": list(init),
                "containers": [container("main", profile, *command)],
                **more,
            },
        }
        return str((await self.api.create(PODS, pod, namespace="default"))["metadata"]["uid"])

    async def until_phase(self, name: str, *phases: str, within_s: float = 30.0) -> dict[str, Any]:
        """Wait for a Pod to be in one of these phases."""
        async with asyncio.timeout(within_s):
            while True:
                pod = await self.api.get(PODS, name, namespace="default")
                if pod["status"]["phase"] in phases:
                    return pod
                await asyncio.sleep(POLL_S)

    async def delete_pod(self, name: str, *, grace_s: int | None = None) -> None:
        """Delete a Pod; with 0 it is force-deleted."""
        await self.api.delete(PODS, name, namespace="default", grace_period_s=grace_s)

    async def bind(self, name: str) -> None:
        """Bind a Pod to the node, as a scheduler does."""
        target = {"apiVersion": "v1", "kind": "Node", "name": self.node}
        await self.api.create(BINDINGS, {"metadata": {"name": name}, "target": target}, namespace="default")

    def devices_of(self, pod: str, name: str = "main") -> str:
        """What the Pod's container was told to see."""
        (file,) = self.stack.nodes[self.node].node.containers_dir.glob(f"*_{pod}_{name}_*.json")
        return str(json.loads(file.read_text())["env"]["NVIDIA_VISIBLE_DEVICES"])

    async def get(self, path: str, *, within_s: float = 10.0) -> tuple[int, str]:
        """Ask the agent's health server."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    port = json.loads((self.folder / "ready.json").read_text())["health"]
                    return await asyncio.to_thread(_get, f"http://127.0.0.1:{port}{path}")
                except OSError:
                    await asyncio.sleep(POLL_S)

    async def until_unready(self, words: str) -> None:
        """Wait until the agent says, for these words, that it is not ready."""
        await _poll(lambda: self.get("/readyz"), lambda answer: answer[0] == 503 and words in answer[1], words)

    async def until_ready(self) -> None:
        """Wait until the agent says that it is ready."""
        await _poll(lambda: self.get("/readyz"), lambda answer: answer[0] == 200, "ready")

    async def until_ended(self, process: subprocess.Popen[bytes], *, within_s: float) -> None:
        """Wait until an agent that was told to end has ended."""
        try:
            await asyncio.to_thread(process.wait, within_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still there after {within_s:g} s\n{self.log[-4000:]}") from error

    async def until_called(self, function: str, *, times: int = 1) -> None:
        """Wait until the agent is, or was, inside that call of the driver, so many times."""

        async def count() -> int:
            return self.sim.calls().get(function, 0)

        await _poll(count, lambda found: found >= times, function)

    async def clean(self) -> None:
        """End the agent and take away what the test left in the cluster."""
        self.kill()
        for pod in self.pods:
            try:
                await self.delete_pod(pod, grace_s=0)
            except ApiError:
                continue
        await self.take_back()
        await self.delete_migspec()

    async def delete_migspec(self) -> None:
        """Take the MigSpec away, if there is one."""
        try:
            await self.api.delete(MIGSPECS, self.node)
        except NotFound:
            return


def container(name: str, profile: str, *command: str) -> dict[str, Any]:
    """A container that wants one device; without a command it runs for ever."""
    limits = {f"nvidia.com/mig-{profile}": 1}
    return {
        "name": name,
        "image": "pretended",
        "command": list(command) or ["forever"],
        "resources": {"limits": limits},
    }


def slices(status: Status, gpu: str) -> list[StatusSlice]:
    """The slices of one GPU that are ours, by place."""
    found = status.gpu(gpu)
    return sorted((item for item in found.slices if item.owned) if found else [], key=lambda item: item.placed)


def states(status: Status) -> dict[str, str]:
    """`1g.10gb@0` → state, over all GPUs."""
    return {f"{item.profile}@{item.window.start}": item.state.value for gpu in status.gpus for item in gpu.slices}


async def _poll(look: Callable[[], Awaitable[T]], reached: Callable[[T], bool], what: str) -> None:
    try:
        async with asyncio.timeout(20):
            while True:
                if reached(await look()):
                    return
                await asyncio.sleep(POLL_S / 4)
    except TimeoutError as error:
        raise AssertionError(f"not within 20 s: {what}") from error


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
