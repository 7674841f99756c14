"""Our description of slices and NVIDIA's, side by side in a container runtime's folder: each is what the other expects.

NVIDIA's toolkit brings the reader that container runtimes use, which refuses a file that breaks the specification.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from nodeagent.kubelet import cdi
from nodeagent.kubelet.cdifolder import CdiFolder
from nodeagent.kubelet.devicenodes import Access
from nodeagent.kubelet.offers import Device
from simgpu import SimNode
from tests.nvml_clients.clients import cdi_spec, nvidia_ctk
from tests.support.driverprocess import DriverProcess
from tests.support.handing import device_nodes

pytestmark = pytest.mark.timeout(900)  # a fresh machine builds the toolkit first


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As a container runtime's folder of descriptions."""
    folder = tmp_path / "cdi"
    folder.mkdir()
    return folder


def slices(node: SimNode, driver: DriverProcess) -> list[Device]:
    """Three slices on two GPUs, as the agent offers them."""
    for index, profile, start in [(0, "3g.40gb", 4), (0, "1g.10gb", 0), (1, "1g.10gb+me", 6)]:
        node.create_foreign(index, profile, start)
    return [
        Device(
            each.uuid, each.placed.profile, gpu.uuid, each.placed.window, Access(gpu.minor or 0, each.gi, each.ci or 0)
        )
        for gpu in (driver.gpu(index) for index in range(2))
        for each in driver.instances(gpu)
    ]


def described(node: SimNode, folder: Path, devices: list[Device]) -> CdiFolder:
    """What the agent does before it offers slices."""
    ours = CdiFolder(folder, nodes=device_nodes(node.root), device_root=node.root, folders=[folder])
    assert all(ours.prepare(device) for device in devices)
    return ours


def paths(edits: Any) -> set[str]:
    return {node["path"] for node in edits.get("deviceNodes", [])}


def test_the_toolkit_lists_the_slices_that_the_agent_describes(
    node: SimNode, driver: DriverProcess, folder: Path
) -> None:
    """By the very names that the kubelet hands to the runtime, and nothing else of ours; none is left when all are gone."""
    devices = slices(node, driver)
    ours = described(node, folder, devices)
    assert set(nvidia_ctk(node, "cdi", "list", f"--spec-dir={folder}").split()) == {
        cdi.device_name(device.id) for device in devices
    }
    for device in devices:
        ours.forget(device.id)
    assert nvidia_ctk(node, "cdi", "list", f"--spec-dir={folder}").split() == []


def test_the_agent_takes_over_what_the_toolkit_says_of_the_driver(
    node: SimNode, driver: DriverProcess, folder: Path
) -> None:
    """The libraries and control nodes of NVIDIA's description are in ours; no GPU's node is; and the runtime reads both."""
    devices = slices(node, driver)
    nvidia_ctk(node, "cdi", "generate", f"--driver-root={node.root}", f"--output={folder}/nvidia.yaml")
    ours = described(node, folder, devices)
    assert ours.troubles == ()
    theirs = cdi_spec(node)["containerEdits"]
    common = json.loads((folder / cdi.FILE_NAME).read_text("utf-8"))["containerEdits"]
    assert common["mounts"] == theirs["mounts"]
    assert paths(common) == paths(theirs)
    listed = set(nvidia_ctk(node, "cdi", "list", f"--spec-dir={folder}").split())
    for device in devices:
        assert {cdi.device_name(device.id), f"nvidia.com/gpu={device.id}"} <= listed


def test_a_slice_s_container_gets_the_same_nodes_by_either_name(
    node: SimNode, driver: DriverProcess, folder: Path
) -> None:
    """`nos.nebuly.com/mig=<UUID>` of ours and `nvidia.com/gpu=<UUID>` of NVIDIA's open the same doors, from the same root."""
    devices = slices(node, driver)
    described(node, folder, devices)
    theirs = cdi_spec(node)
    common = {item["hostPath"] for item in theirs["containerEdits"]["deviceNodes"]}
    by_name = {each["name"]: each["containerEdits"]["deviceNodes"] for each in theirs["devices"]}
    for each in json.loads((folder / cdi.FILE_NAME).read_text("utf-8"))["devices"]:
        ours = {item["hostPath"] for item in each["containerEdits"]["deviceNodes"]}
        own = {item["hostPath"] for item in by_name[each["name"]]}
        assert ours == own | (common & ours)
        assert ours - own == {f"{node.root}/dev/{name}" for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")}
