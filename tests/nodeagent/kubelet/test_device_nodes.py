"""Which device nodes a slice's container needs: by the kernel's tables, and never another slice's."""

import logging
import shutil
from pathlib import Path

import pytest

from mig.profiles import parse_profile
from nodeagent.kubelet.devicenodes import (
    Access,
    DeviceNode,
    DeviceNodes,
    Tables,
    capability_table,
    major_table,
    nodes_of,
)
from simgpu import SimNode
from tests.support.beside_kubelet import beside
from tests.support.handing import by_variable, device_nodes
from tests.support.model_kubelet import ModelKubelet
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")
TABLE = """\
config 1
monitor 2
gpu0/gi0/access 3
gpu0/gi0/ci0/access 4
gpu0/gi7/access 66
gpu0/gi7/ci0/access 67
gpu1/gi7/access 201
gpu1/gi7/ci0/access 202
"""
DEVICES = """\
Character devices:
  1 mem
195 nvidia
195 nvidiactl
236 nvidia-caps
511 nvidia-uvm

Block devices:
236 device-mapper
259 blkext
"""
TABLES = Tables(capability_table(TABLE), major_table(DEVICES))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What the driver puts on a node with two GPUs."""
    return SimNode.create(tmp_path / "sim", gpus=["a100-80gb", "h100-80gb"]).root


def test_a_slice_needs_the_control_nodes_its_gpu_and_its_two_capabilities() -> None:
    """Each with its numbers, by which a runtime can make it."""
    assert nodes_of(Access(1, 7, 0), TABLES) == (
        DeviceNode("nvidiactl", (195, 255)),
        DeviceNode("nvidia-uvm", (511, 0)),
        DeviceNode("nvidia-uvm-tools", (511, 1)),
        DeviceNode("nvidia1", (195, 1)),
        DeviceNode("nvidia-caps/nvidia-cap201", (236, 201)),
        DeviceNode("nvidia-caps/nvidia-cap202", (236, 202)),
    )


def test_what_the_kernel_does_not_tell_is_left_out() -> None:
    """No capability is guessed, and a block device's major is no character device's."""
    names = [node.name for node in nodes_of(Access(0, 9, 0), TABLES)]
    assert names == ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia0"]
    assert nodes_of(Access(0, 9, 0), Tables())[1].numbers is None
    assert "device-mapper" not in TABLES.majors
    assert capability_table("gpu0/gi0/access\nnonsense\n\ngpu0/gi0/access x\n") == {}


def test_no_two_places_share_a_capability(root: Path) -> None:
    """Over everything that the driver's own table names: a container is never shown another slice."""
    tables = Tables(capability_table((root / "proc/driver/nvidia-caps/mig-minors").read_text(encoding="ascii")))
    seen: dict[str, Access] = {}
    for access in (Access(gpu, gi, ci) for gpu in range(8) for gi in range(15) for ci in range(8)):
        capabilities = [node.name for node in nodes_of(access, tables) if node.name.startswith("nvidia-caps/")]
        assert len(capabilities) == 2
        own = capabilities[1]
        assert seen.setdefault(own, access) == access
        assert seen.get(capabilities[0]) is None


def test_the_table_is_read_again_when_a_driver_comes(root: Path) -> None:
    """It was not loaded when the agent started."""
    away = root / "proc/driver.away"
    (root / "proc/driver").rename(away)
    nodes = device_nodes(root)
    assert len(nodes.of(Access(0, 1, 0))) == 4
    away.rename(root / "proc/driver")
    assert len(nodes.of(Access(0, 1, 0))) == 6


def test_a_driver_that_is_loaded_again_may_have_other_majors(root: Path) -> None:
    """The kernel gives dynamic ones out anew at each load, so nothing is remembered."""
    nodes = device_nodes(root)
    devices = root / "proc/devices"
    devices.write_text(DEVICES, encoding="ascii")
    before = {node.name: node.numbers for node in nodes.of(Access(0, 1, 0))}
    devices.write_text(DEVICES.replace("236 nvidia-caps", "237 nvidia-caps").replace("511", "509"), encoding="ascii")
    after = {node.name: node.numbers for node in nodes.of(Access(0, 1, 0))}
    assert before.keys() == after.keys()
    assert (before["nvidia-uvm"], after["nvidia-uvm"]) == ((511, 0), (509, 0))
    changed = {numbers[0] for name, numbers in after.items() if name.startswith("nvidia-caps/") and numbers}
    assert changed == {237}


def test_a_missing_node_is_left_out_and_said_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A kubelet would fail a container whose device is not there; NVIDIA's runtime brings it anyhow."""
    (root / "dev/nvidia-uvm-tools").unlink()
    nodes = DeviceNodes(dev=root / "dev", proc=root / "proc")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            found = {node.name for node in nodes.present(Access(1, 1, 0))}
    assert "nvidia1" in found
    assert "nvidia-uvm-tools" not in found
    assert sum(name.startswith("nvidia-caps/") for name in found) == 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["/dev/nvidia-uvm-tools"]


async def test_an_allocation_names_the_nodes_that_are_there(root: Path, folder: Path) -> None:
    """Beside the variable, with the path below the host's root; with none there the container has the variable alone."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with beside(kubelet, folder, by_variable(root)) as scene:
        for number, access in enumerate((Access(0, 1, 0), Access(1, 2, 0), None)):
            scene.ours.offer(device(number, SMALL, access=access))
        await kubelet.until(lambda: len(scene.ours.offered_now()) == 3, what="the slices are offered")
        scene.ours.book_preference({SMALL: [uuid(number) for number in range(3)]})
        first = await _answer(kubelet, "pod-0", uuid(0))
        shutil.rmtree(root / "dev")
        second = await _answer(kubelet, "pod-1", uuid(1))
        third = await _answer(kubelet, "pod-2", uuid(2))
    table = capability_table((root / "proc/driver/nvidia-caps/mig-minors").read_text(encoding="ascii"))
    capabilities = [f"nvidia-caps/nvidia-cap{table[f'gpu0/gi1/{each}']}" for each in ("access", "ci0/access")]
    names = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia0", *capabilities]
    assert first == {f"/dev/{name}": (str(root / "dev" / name), "rw") for name in names}
    assert second == third == {}


async def _answer(kubelet: ModelKubelet, pod: str, device_id: str) -> dict[str, tuple[str, str]]:
    env = await kubelet.allocate(pod, "main", SMALL.resource)
    assert env == {"NVIDIA_VISIBLE_DEVICES": device_id}
    return {each.container_path: (each.host_path, each.permissions) for each in kubelet.answers[-1].devices}
