"""Another GPU in the place of one: S6, as the driver shows it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from simgpu import SimNode, UnknownGpuError
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import GPU_IS_LOST, ID_1G, NOT_FOUND


def test_a_swapped_gpu_is_another_one_in_the_same_place(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """S6: UUID and serial number are new, also after a second swap; index and PCI address stay; it is empty."""
    nvml = connect(a100)
    seen = set()
    for _ in range(3):
        device = nvml.nvmlDeviceGetHandleByIndex(0)
        seen.add((nvml.nvmlDeviceGetUUID(device), nvml.nvmlDeviceGetSerial(device)))
        assert nvml.nvmlDeviceGetPciInfo(device)["busId"] == "00000000:10:00.0"
        assert nvml.nvmlDeviceGetMigMode(device) == [1, 1]
        a100.create_foreign(0, "3g.40gb", 4)
        a100.hold(a100.gpus[0].uuid, workload.pid)
        a100.swap(0)
        assert (a100.gpus[0].instances, a100.gpus[0].pids) == ((), ())
    assert len({uuid for uuid, _ in seen}) == len({serial for _, serial in seen}) == 3


def test_what_belonged_to_the_old_gpu_is_gone(a100: SimNode, connect: Connect) -> None:
    """Its handle says that it is lost, its instances are not found, its UUIDs nowhere; no handle means a successor."""
    a100.create_foreign(0, "1g.10gb", 0)
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    (instance,) = nvml.gpu_instances(device, ID_1G)
    old = a100.gpus[0]
    a100.swap(0)
    a100.create_foreign(0, "1g.10gb", 0)
    assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetMigMode", device)
    assert nvml.fails(NOT_FOUND, "nvmlGpuInstanceGetInfo", instance)
    for uuid in (old.uuid, old.instances[0].compute_instances[0].uuid):
        assert nvml.fails(NOT_FOUND, "nvmlDeviceGetHandleByUUID", uuid)
    assert a100.gpus[0].instances[0].compute_instances[0].uuid != old.instances[0].compute_instances[0].uuid


def test_the_new_gpu_may_be_of_another_model_and_have_mig_off(tmp_path: Path, connect: Connect) -> None:
    """Grid, names and files follow it; its neighbour notices nothing."""
    node = SimNode.create(tmp_path / "node", gpus=["a30-24gb", "a30-24gb"])
    neighbour = node.gpus[1]
    node.swap(0, "h100-80gb", mig_enabled=False)
    nvml = connect(node)
    assert nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(0)) == [0, 0]
    assert node.set_mig_mode(0, True) == 0
    node.create_foreign(0, "7g.80gb", 0)
    assert (node.gpus[0].grid_width, node.gpus[0].name) == (8, "NVIDIA H100 80GB HBM3")
    information = (node.root / "proc/driver/nvidia/gpus/0000:10:00.0/information").read_text()
    assert node.gpus[0].uuid in information
    assert "NVIDIA H100 80GB HBM3" in information
    assert node.gpus[1] == neighbour


def test_a_gpu_without_mig_can_take_the_place(a100: SimNode, connect: Connect) -> None:
    a100.swap(0, "l40s")
    nvml = connect(a100)
    assert nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(0)) == "NVIDIA L40S"
    assert not a100.gpus[0].mig_mode


def test_no_gpu_is_swapped_for_an_unknown_one(a100: SimNode) -> None:
    before = a100.gpus
    with pytest.raises(UnknownGpuError, match="h1000"):
        a100.swap(0, "h1000")
    assert a100.gpus == before
