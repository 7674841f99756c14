"""MIG mode: what it takes to change it, and what fails while it is off."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from simgpu import RefusedError, SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import ID_1G, IN_USE, INVALID_ARGUMENT, NOT_FOUND, NOT_SUPPORTED, RESET_REQUIRED


def test_on_ampere_a_new_mode_waits_for_a_reset(tmp_path: Path, connect: Connect) -> None:
    """N5: the call succeeds and returns "reset required"; until then the mode is pending."""
    node = SimNode.create(tmp_path, gpus=["a100-80gb"], mig_enabled=False)
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceSetMigMode(device, 1) == RESET_REQUIRED
    assert nvml.nvmlDeviceGetMigMode(device) == [0, 1]
    node.reset(0)
    assert nvml.nvmlDeviceGetMigMode(device) == [1, 1]


def test_on_hopper_a_new_mode_is_in_force_at_once(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(tmp_path, gpus=["h100-80gb"], mig_enabled=False)
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceSetMigMode(device, 1) == 0
    assert nvml.nvmlDeviceGetMigMode(device) == [1, 1]
    assert nvml.fails(INVALID_ARGUMENT, "nvmlDeviceSetMigMode", device, 2)


@pytest.mark.parametrize("user", ["process", "instance"])
def test_a_gpu_in_use_keeps_its_mode(
    user: str, h100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """The call succeeds, the activation status says in use, the wish stays pending."""
    if user == "process":
        h100.hold(h100.gpus[0].uuid, workload.pid)
    else:
        h100.create_foreign(0, "1g.10gb", 0)
    nvml = connect(h100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceSetMigMode(device, 0) == IN_USE
    assert nvml.nvmlDeviceGetMigMode(device) == [1, 0]


def test_with_mig_off_nothing_of_mig_works(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(tmp_path, gpus=["a100-80gb", "a100-80gb"], mig_enabled=[False, True])
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    for call, *arguments in [
        ("nvmlDeviceGetGpuInstanceProfileInfo", 0),
        ("placements", ID_1G),
        ("nvmlDeviceGetGpuInstanceRemainingCapacity", ID_1G),
        ("nvmlDeviceCreateGpuInstance", ID_1G),
        ("create_at", ID_1G, 0, 1),
        ("gpu_instances", ID_1G),
        ("nvmlDeviceGetGpuInstanceById", 1),
        ("nvmlDeviceGetMigDeviceHandleByIndex", 0),
    ]:
        assert nvml.fails(NOT_SUPPORTED, str(call), device, *arguments), call
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(device) == 0
    with pytest.raises(RefusedError):
        node.create_foreign(0, "1g.10gb", 0)
    assert nvml.fails(NOT_FOUND, "nvmlDeviceGetMigDeviceHandleByIndex", nvml.nvmlDeviceGetHandleByIndex(1), 0)


def test_a_gpu_without_mig_says_so(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(tmp_path, gpus=["l40s"])
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.fails(NOT_SUPPORTED, "nvmlDeviceGetMigMode", device)
    assert nvml.fails(NOT_SUPPORTED, "nvmlDeviceSetMigMode", device, 1)
    assert nvml.fails(NOT_SUPPORTED, "nvmlDeviceGetGpuInstanceProfileInfo", device, 0)
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(device) == 0
    assert nvml.nvmlDeviceGetName(device) == "NVIDIA L40S"
    assert nvml.nvmlDeviceGetMemoryInfo(device)["total"] == 46068 << 20


def test_while_a_mode_is_pending_nothing_new_is_made(tmp_path: Path, connect: Connect) -> None:
    """N5: neither on the way in, where MIG is still off, nor on the way out, where it is still on; nor by an administrator.

    What exists stays, can be listed and taken away. Asked back to the mode in force, the GPU goes on as before.
    """
    node = SimNode.create(tmp_path, gpus=["a100-80gb", "a100-80gb"], mig_enabled=[False, True])
    nvml = connect(node)
    arriving, leaving = (nvml.nvmlDeviceGetHandleByIndex(index) for index in (0, 1))
    node.create_foreign(1, "1g.10gb", 0)
    assert nvml.nvmlDeviceSetMigMode(arriving, 1) == RESET_REQUIRED
    assert nvml.nvmlDeviceSetMigMode(leaving, 0) == IN_USE
    assert nvml.fails(NOT_SUPPORTED, "create_at", arriving, ID_1G, 1, 1)
    assert nvml.fails(RESET_REQUIRED, "create_at", leaving, ID_1G, 1, 1)
    assert nvml.fails(RESET_REQUIRED, "nvmlDeviceCreateGpuInstance", leaving, ID_1G)
    for index in (0, 1):
        with pytest.raises(RefusedError):
            node.create_foreign(index, "1g.10gb", 1)
    (instance,) = nvml.gpu_instances(leaving, ID_1G)
    assert nvml.nvmlDeviceSetMigMode(leaving, 1) == 0
    nvml.create_at(leaving, ID_1G, 1, 1)
    assert nvml.nvmlGpuInstanceGetInfo(instance)["placement"]["start"] == 0


def test_python_changes_the_mode_by_the_same_rules(h100: SimNode, a100: SimNode) -> None:
    assert h100.set_mig_mode(0, False) == 0
    assert not h100.gpus[0].mig_mode
    assert a100.set_mig_mode(0, False) == RESET_REQUIRED
    assert (a100.gpus[0].mig_mode, a100.gpus[0].mig_pending) == (True, False)
