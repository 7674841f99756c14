"""What the world does to a node: reboots, administrators, and nodes that are none."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import pytest

from simgpu import RefusedError, SimGpuError, SimNode, UnknownGpuError
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import ID_1G, INSUFFICIENT_RESOURCES, NOT_FOUND, Nvml

DRIVER_NOT_LOADED = 9
VERSION_MISMATCH = 18


def test_a_reboot_ends_all_instances_and_keeps_the_mode(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """N8: instances and processes are gone, the boot id is new, MIG mode and UUIDs are as before."""
    before, uuid_before = a100.boot_id, a100.gpus[0].uuid
    a100.create_foreign(0, "3g.40gb", 0)
    device = a100.gpus[0].instances[0].compute_instances[0].uuid
    a100.hold(device, workload.pid)
    a100.reboot()
    assert SimNode.open(a100.directory).gpus[0].instances == ()
    assert a100.gpus[0].mig_mode
    assert a100.boot_id != before
    assert (a100.directory / "boot_id").read_text() == a100.boot_id
    assert str(uuid.UUID(a100.boot_id)) == a100.boot_id
    assert a100.gpus[0].uuid == uuid_before
    assert connect(a100).fails(NOT_FOUND, "nvmlDeviceGetHandleByUUID", device)
    a100.create_foreign(0, "3g.40gb", 0)
    assert [gi.compute_instances[0].pids for gi in a100.gpus[0].instances] == [()]


def test_a_reboot_ends_what_waited_for_one(tmp_path: Path, connect: Connect, workload: subprocess.Popen[bytes]) -> None:
    """N8: pending modes are in force, lost GPUs are back, holds are over, on every GPU; what a test injected stays."""
    node = SimNode.create(tmp_path, gpus=["a100-80gb"] * 3, mig_enabled=[False, True, True])
    node.set_mig_mode(0, True)
    node.set_mig_mode(1, False)
    node.hold(node.gpus[2].uuid, workload.pid)
    node.linger(600_000)
    node.lose(2)
    node.inject(function="nvmlDeviceGetCount_v2", code=3, times=1)
    node.reboot()
    assert [(gpu.mig_mode, gpu.mig_pending, gpu.pids) for gpu in node.gpus] == [
        (True, True, ()),
        (False, False, ()),
        (True, True, ()),
    ]
    nvml = connect(node)
    assert nvml.fails(3, "nvmlDeviceGetCount")
    assert nvml.nvmlDeviceSetMigMode(nvml.nvmlDeviceGetHandleByIndex(2), 0) == 16


def test_a_foreign_instance_obeys_the_same_rules(a100: SimNode, connect: Connect) -> None:
    """N6: an administrator's instance takes its room from everybody, and cannot be made where there is none."""
    gi = a100.create_foreign(0, "1g.10gb+me", 3)
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", device, ID_1G, 3, 1)
    with pytest.raises(RefusedError) as refusal:
        a100.create_foreign(0, "1g.10gb", 3)
    assert refusal.value.code == INSUFFICIENT_RESOURCES
    a100.destroy(0, gi)
    with pytest.raises(RefusedError, match="Not Found"):
        a100.destroy(0, gi)
    nvml.create_at(device, ID_1G, 3, 1)


def test_a_foreign_instance_may_lack_its_compute_instance(a100: SimNode) -> None:
    """What a killed tool leaves behind: a GI that is no device yet."""
    a100.create_foreign(0, "2g.20gb", 4, with_ci=False)
    assert a100.gpus[0].instances[0].compute_instances == ()


def test_an_unknown_profile_is_refused_with_the_known_ones(a100: SimNode) -> None:
    with pytest.raises(UnknownGpuError, match=r"it has 1g\.10gb, 1g\.10gb\+me"):
        a100.create_foreign(0, "1g.5gb", 0)


def test_gpus_of_different_models_share_a_node(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(
        tmp_path, gpus=["a30-24gb", "h100-80gb", "t4"], driver_version="575.57.08", cuda_version=12090
    )
    nvml = connect(node)
    devices = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    assert [nvml.nvmlDeviceGetName(d) for d in devices] == ["NVIDIA A30", "NVIDIA H100 80GB HBM3", "Tesla T4"]
    assert [nvml.nvmlDeviceGetIndex(d) for d in devices] == [0, 1, 2]
    buses = [nvml.nvmlDeviceGetPciInfo(d)["busId"] for d in devices]
    assert [nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByPciBusId(bus)) for bus in buses] == [
        gpu.uuid for gpu in node.gpus
    ]
    assert [nvml.nvmlDeviceGetArchitecture(d) for d in devices] == [7, 9, 6]
    assert nvml.nvmlDeviceGetCudaComputeCapability(devices[1]) == [9, 0]
    assert nvml.nvmlSystemGetDriverVersion() == "575.57.08"
    assert nvml.nvmlSystemGetNVMLVersion() == "12.575.57.08"
    assert nvml.nvmlSystemGetCudaDriverVersion() == 12090


def test_a_folder_without_a_node_is_a_machine_without_a_driver(a100: SimNode, tmp_path: Path) -> None:
    """N4: the library is there and says that no driver is loaded; and a node can be made only once."""
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "state").write_bytes(b"SIMGPU01")
    for directory, code in [("none", DRIVER_NOT_LOADED), ("torn", VERSION_MISMATCH)]:
        nvml = Nvml({**a100.environment(), "SIMGPU_STATE": str(tmp_path / directory)}, initialise=False)
        try:
            assert nvml.fails(code, "nvmlInit")
        finally:
            nvml.close()
    with pytest.raises(FileNotFoundError):
        SimNode.open(tmp_path / "none")
    with pytest.raises(SimGpuError, match="make the node anew"):
        SimNode.open(tmp_path / "torn")
    with pytest.raises(FileExistsError, match="holds a simulated node already"):
        SimNode.create(a100.directory)


def test_the_same_identity_gives_the_same_uuids(tmp_path: Path) -> None:
    nodes = [SimNode.create(tmp_path / name, identity="node-1") for name in ("one", "two")]
    assert nodes[0].gpus == nodes[1].gpus
    assert nodes[0].boot_id == nodes[1].boot_id
