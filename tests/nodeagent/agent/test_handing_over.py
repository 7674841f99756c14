"""How a slice reaches a container, by the whole agent on a real kubelet: device nodes, CDI names, and no start on a lost slice."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kube.resource import EVENTS, PODS
from mig.migspec import Status
from nodeagent.kubelet.cdi import FILE_NAME, device_name
from simgpu.driverroot import capability_minor
from tests.support.agenthost import AgentHost, container, slices, states
from tests.support.cdi_rules import violations
from tests.support.nvidia_cdi import DESCRIPTION

CONTROL = {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"}


def records(host: AgentHost, pod: str) -> list[dict[str, Any]]:
    """What the kubelet handed to each attempt of the Pod's container, the oldest first."""
    files = host.stack.nodes[host.node].node.containers_dir.glob(f"*_{pod}_main_*.json")
    return sorted((json.loads(file.read_text()) for file in files), key=lambda each: int(each["attempt"]))


def nodes_on(host: AgentHost, gpu: int, device_id: str) -> set[str]:
    """The device nodes of a slice, by what is on the hardware."""
    [(gi, ci)] = [
        (gi.id, ci.id) for gi in host.sim.gpus[gpu].instances for ci in gi.compute_instances if ci.uuid == device_id
    ]
    minors = (capability_minor(gpu, gi), capability_minor(gpu, gi, ci))
    return CONTROL | {f"/dev/nvidia{gpu}", *(f"/dev/nvidia-caps/nvidia-cap{minor}" for minor in minors)}


async def until(look: Callable[[], Awaitable[bool]], what: str, *, within_s: float = 60.0) -> None:
    try:
        async with asyncio.timeout(within_s):
            while True:
                if await look():
                    return
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise AssertionError(f"not within {within_s:g} s: {what}") from error


@pytest.fixture
def cdi(host: AgentHost, tmp_path: Path) -> Path:
    """The folder of descriptions, NVIDIA's in it; agents started from now on hand over by name."""
    folder = tmp_path / "cdi"
    folder.mkdir()
    (folder / "nvidia.json").write_text(json.dumps(DESCRIPTION), encoding="utf-8")
    host.arguments = ("--device-list-strategy", "cdi-cri", "--cdi-dir", str(folder))
    return folder


def described(folder: Path) -> dict[str, set[str]]:
    """Each slice and its device nodes, by a file that keeps the rules."""
    try:
        text = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    assert violations(text) == []
    return {each["name"]: {node["path"] for node in each["containerEdits"]["deviceNodes"]} for each in text["devices"]}


async def test_the_kubelet_is_told_the_device_nodes_of_the_slice(host: AgentHost) -> None:
    """So that systemd, when it reloads, knows that the container may use them; those of no other slice."""
    host.start()
    await host.want({1: ["1g.10gb@3+1", "2g.20gb@4+2"]})
    await host.until_free(1, "1g.10gb@3+1", "2g.20gb@4+2")
    for name, profile in (("small", "1g.10gb"), ("large", "2g.20gb")):
        await host.run_pod(name, profile)
        await host.until_phase(name, "Running")
        [record] = records(host, name)
        told = {each["containerPath"]: each["hostPath"] for each in record["devices"]}
        assert set(told) == nodes_on(host, 1, host.devices_of(name))
        assert all(path == host_path for path, host_path in told.items())
        assert record["cdiDevices"] == []


async def test_a_container_is_given_its_slices_name(host: AgentHost, cdi: Path) -> None:
    """`cdi-cri`: the runtime finds the nodes behind the name; the variable is not set, so nothing overrides it."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    free = await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    assert described(cdi) == {each.uuid: nodes_on(host, 0, each.uuid) for each in free}
    await host.run_pod("named", "1g.10gb")
    await host.until_phase("named", "Running")
    [record] = records(host, "named")
    assert record["cdiDevices"] in [[device_name(each.uuid)] for each in free]
    assert record["devices"] == []
    assert "NVIDIA_VISIBLE_DEVICES" not in record["env"]
    await host.delete_pod("named")
    await host.want({0: []})
    await host.until_free(0)

    async def nothing_is_described() -> bool:
        return described(cdi) == {}

    await until(nothing_is_described, "what is gone is not described")


async def test_names_outlive_agent_and_kubelet(host: AgentHost, cdi: Path) -> None:
    """A container that starts again while, and after, both were restarted finds its name described.

    One session with the driver is for an agent's whole life, whatever changes, uses slices, or restarts beside it.
    """
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    [free] = await host.until_free(0, "1g.10gb@0+1")
    before = described(cdi)
    await _pod_that_starts_again(host, "lasting", "sleep", "6")
    await host.until_phase("lasting", "Running")
    host.kill()
    assert described(cdi) == before
    host.sim.reset_calls()
    host.start()
    await host.until(_used_by(host, "lasting"), "used by the Pod")
    node = host.stack.nodes[host.node].node
    await asyncio.to_thread(node.restart_kubelet)

    async def started_again() -> bool:
        return len(records(host, "lasting")) > 1

    await until(started_again, "the container starts again")
    assert {tuple(each["cdiDevices"]) for each in records(host, "lasting")} == {(device_name(free.uuid),)}
    assert described(cdi) == before
    await host.want({0: ["1g.10gb@0+1", "2g.20gb@2+2"]})
    await host.until(lambda status: states(status).get("2g.20gb@2") == "Free", "another is made")
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until(lambda status: "2g.20gb@2" not in states(status), "and taken away")
    sessions = {name: n for name, n in host.sim.calls().items() if "Init" in name or "Shutdown" in name}
    assert list(sessions.values()) == [1], sessions


async def test_a_container_does_not_start_again_on_a_slice_with_another_uuid(host: AgentHost) -> None:
    """N6: destroyed behind our back, and another made in its place; the Pod's Events say so, and what to do."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@2+1"]})
    free = await host.until_free(0, "1g.10gb@0+1", "1g.10gb@2+1")
    await _pod_that_starts_again(host, "orphan", "sleep", "6")
    await host.until_phase("orphan", "Running")
    mine = next(each for each in free if each.uuid == host.devices_of("orphan"))
    [gi] = [each.id for each in host.sim.gpus[0].instances if each.start == mine.window.start]
    host.kill()
    host.sim.destroy(0, gi)
    host.sim.create_foreign(0, "1g.20gb", mine.window.start)  # an equal one would get the same UUID
    assert mine.uuid not in {ci.uuid for each in host.sim.gpus[0].instances for ci in each.compute_instances}
    host.start()
    words = f"slice {mine.uuid} (1g.10gb), which this container was given, is not on its GPU any more; delete the Pod"

    async def said() -> bool:
        events = (await host.api.list(EVENTS, namespace="default"))[0]
        return any(words in each.get("note", "") and each["regarding"]["name"] == "orphan" for each in events)

    await until(said, words)
    assert [each["attempt"] for each in records(host, "orphan")] == [0]
    pod = await host.api.get(PODS, "orphan", namespace="default")
    assert "running" not in pod["status"]["containerStatuses"][0]["state"]


async def _pod_that_starts_again(host: AgentHost, name: str, *command: str) -> None:
    host.pods.append(name)
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 1,
        "containers": [container("main", "1g.10gb", *command)],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    await host.api.create(PODS, pod, namespace="default")


def _used_by(host: AgentHost, pod: str) -> Callable[[Status], bool]:
    def used(status: Status) -> bool:
        holders = [each.holder for each in slices(status, host.sim.gpus[0].uuid)]
        return [each.name for each in holders if each] == [pod]

    return used
