"""The files beside the library: what NVIDIA's user space finds under the root of a simulated driver."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simgpu import SimNode, driverroot

# The table as a driver prints it for any machine (MIG user guide, "Device Nodes and Capabilities"): some of its lines.
PRINTED = {
    "config": 1,
    "monitor": 2,
    "gpu0/gi0/access": 3,
    "gpu0/gi0/ci0/access": 4,
    "gpu0/gi0/ci1/access": 5,
    "gpu0/gi0/ci2/access": 6,
    "gpu31/gi14/ci6/access": 4321,
    "gpu31/gi14/ci7/access": 4322,
}


def minors(node: SimNode) -> dict[str, int]:
    lines = (node.root / "proc/driver/nvidia-caps/mig-minors").read_text().splitlines()
    return {name: int(number) for name, number in (line.split(" ") for line in lines)}


def devices(node: SimNode) -> set[str]:
    return {str(path.relative_to(node.root / "dev")) for path in (node.root / "dev").rglob("*") if path.is_file()}


def test_the_table_of_capabilities_is_the_drivers_own(a100: SimNode) -> None:
    """Numbered once for all machines, without gaps, whatever GPUs there are."""
    table = minors(a100)
    assert {name: table[name] for name in PRINTED} == PRINTED
    assert list(table.values()) == [*range(1, 4323)]


@pytest.mark.parametrize("model", ["a100-80gb", "a30-24gb", "rtx-pro-6000-96gb"])
def test_every_instance_that_fits_on_a_gpu_has_its_capability_nodes(model: str, tmp_path: Path) -> None:
    """Second GPU of the node, each profile at each place: the nodes of its GI and of all its CIs are there."""
    node = SimNode.create(tmp_path / "node", gpus=["l40s", model])
    table, present = minors(node), devices(node)
    gpu = node._file.state.gpus[1]
    for profile in gpu.profiles[: gpu.profile_count]:
        name = profile.name.decode().removeprefix("MIG ")
        for place in profile.placements[: profile.placement_count]:
            gi = node.create_foreign(1, name, place.start)
            wanted = [f"gpu1/gi{gi}/access", *(f"gpu1/gi{gi}/ci{ci}/access" for ci in range(profile.slices))]
            assert {f"nvidia-caps/nvidia-cap{table[each]}" for each in wanted} <= present
            node.destroy(1, gi)
    assert {"nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1"} <= present
    assert "nvidia2" not in present


def test_each_gpu_is_described_under_its_pci_address(tmp_path: Path) -> None:
    node = SimNode.create(tmp_path / "node", gpus=["a100-80gb", "h100-80gb"], driver_version="575.57.08")
    folders = sorted((node.root / "proc/driver/nvidia/gpus").iterdir())
    assert [folder.name for folder in folders] == ["0000:10:00.0", "0000:18:00.0"]
    for folder, gpu in zip(folders, node.gpus, strict=True):
        lines = (folder / "information").read_text().splitlines()
        facts = {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        assert facts["Model"] == gpu.name
        assert facts["GPU UUID"] == gpu.uuid
        assert facts["Bus Location"] == folder.name
        assert facts["Device Minor"] == str(gpu.index)
        assert facts["GPU Firmware"] == "575.57.08"


def test_the_library_under_the_root_is_the_driver_of_the_node(a100: SimNode) -> None:
    """A process that loads it by its path, as from a driver container, sees the node's GPU."""
    path = a100.root / driverroot.LIBRARIES / "libnvidia-ml.so.1"
    program = (
        "import ctypes, sys\n"
        "nvml = ctypes.CDLL(sys.argv[1]); count = ctypes.c_uint()\n"
        "assert nvml.nvmlInit_v2() == 0 and nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0\n"
        "print(count.value)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        env={"SIMGPU_STATE": str(a100.directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("1", "")
    assert path.resolve().name == "libnvidia-ml.so.580.95.05"
