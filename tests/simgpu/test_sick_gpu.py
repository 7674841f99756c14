"""A GPU that is lost or needs a reset: what it refuses, whom it spares, and what mends it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simgpu import RefusedError, SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, GPU_IS_LOST, ID_1G, RESET_REQUIRED, Nvml


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    """Two GPUs, with one slice on the first."""
    node = SimNode.create(tmp_path / "node", gpus=["a100-80gb", "a100-80gb"])
    node.create_foreign(0, "1g.10gb", 2)
    return node


def by_heart(nvml: Nvml, device: Any) -> list[object]:
    """What a driver says of a GPU without asking the hardware."""
    return [
        nvml.nvmlDeviceGetUUID(device),
        nvml.nvmlDeviceGetName(device),
        nvml.nvmlDeviceGetIndex(device),
        nvml.nvmlDeviceGetMinorNumber(device),
        nvml.nvmlDeviceGetPciInfo(device),
        nvml.nvmlDeviceGetMigMode(device),
    ]


HARDWARE: list[tuple[str, list[Any]]] = [
    ("nvmlDeviceGetMemoryInfo", []),
    ("nvmlDeviceGetComputeRunningProcesses_v3", []),
    ("nvmlDeviceSetMigMode", [0]),
    ("nvmlDeviceGetGpuInstanceProfileInfo", [0]),
    ("placements", [ID_1G]),
    ("gpu_instances", [ID_1G]),
    ("nvmlDeviceGetGpuInstanceById", [13]),
    ("nvmlDeviceGetMigDeviceHandleByIndex", [0]),
    ("create_at", [ID_1G, 0, 1]),
    ("nvmlDeviceCreateGpuInstance", [ID_1G]),
]


def test_every_call_about_a_lost_gpu_says_so(node: SimNode, connect: Connect) -> None:
    """N5: by handle of the GPU, of its instances and of its MIG device, and when it is looked for."""
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    (instance,) = nvml.gpu_instances(device, ID_1G)
    (compute,) = nvml.compute_instances(instance, CI_1)
    mig = nvml.nvmlComputeInstanceGetInfo(compute)["device"]
    gpu, slice_ = node.gpus[0], node.gpus[0].instances[0].compute_instances[0]
    bus, serial = nvml.nvmlDeviceGetPciInfo(device)["busId"], nvml.nvmlDeviceGetSerial(device)
    node.lose(0)
    for call, arguments in HARDWARE:
        assert nvml.fails(GPU_IS_LOST, call, device, *arguments), call
    for call in ("nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMigMode", "nvmlDeviceIsMigDeviceHandle"):
        assert nvml.fails(GPU_IS_LOST, call, device), call
    assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetUUID", mig)
    assert nvml.fails(GPU_IS_LOST, "nvmlGpuInstanceGetInfo", instance)
    assert nvml.fails(GPU_IS_LOST, "nvmlComputeInstanceDestroy", compute)
    for call, argument in [
        ("nvmlDeviceGetHandleByIndex", 0),
        ("nvmlDeviceGetHandleByUUID", gpu.uuid),
        ("nvmlDeviceGetHandleByUUID", slice_.uuid),
        ("nvmlDeviceGetHandleByPciBusId", bus),
        ("nvmlDeviceGetHandleBySerial", serial),
    ]:
        assert nvml.fails(GPU_IS_LOST, call, argument), call
    assert nvml.nvmlDeviceGetCount() == 2
    with pytest.raises(RefusedError, match="GPU is lost"):
        node.create_foreign(0, "1g.10gb", 0)


def test_a_gpu_that_needs_a_reset_still_says_who_it_is(node: SimNode, connect: Connect) -> None:
    """N5: what touches its hardware is refused, reads of instances included: unknown is not empty."""
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    (instance,) = nvml.gpu_instances(device, ID_1G)
    before = by_heart(nvml, device)
    node.require_reset(0)
    for call, arguments in HARDWARE:
        assert nvml.fails(RESET_REQUIRED, call, device, *arguments), call
    assert nvml.fails(RESET_REQUIRED, "nvmlGpuInstanceGetInfo", instance)
    assert nvml.fails(RESET_REQUIRED, "nvmlGpuInstanceDestroy", instance)
    assert by_heart(nvml, nvml.nvmlDeviceGetHandleByUUID(node.gpus[0].uuid)) == before
    with pytest.raises(RefusedError, match="GPU requires reset"):
        node.destroy(0, node.gpus[0].instances[0].id)


@pytest.mark.parametrize("sicken", [SimNode.lose, SimNode.require_reset])
def test_a_sick_gpu_spares_the_others(sicken: Callable[[SimNode, int], None], node: SimNode, connect: Connect) -> None:
    nvml = connect(node)
    sicken(node, 0)
    healthy = nvml.nvmlDeviceGetHandleByIndex(1)
    nvml.nvmlGpuInstanceDestroy(nvml.create_at(healthy, ID_1G, 0, 1))
    assert nvml.nvmlDeviceGetHandleByUUID(node.gpus[1].uuid)


@pytest.mark.parametrize("sicken", [SimNode.lose, SimNode.require_reset])
@pytest.mark.parametrize(
    "mend", [lambda node: node.reset(0), SimNode.reboot, lambda node: node.swap(0)], ids=["reset", "reboot", "swap"]
)
def test_reset_reboot_or_another_gpu_end_it(
    sicken: Callable[[SimNode, int], None], mend: Callable[[SimNode], None], node: SimNode, connect: Connect
) -> None:
    """Nothing else does: not clearing faults, not reloading the driver. The GPU is empty then."""
    sicken(node, 0)
    node.clear_faults()
    node.load_driver()
    nvml = connect(node)
    with pytest.raises(RefusedError):
        node.create_foreign(0, "1g.10gb", 0)
    mend(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.gpu_instances(device, ID_1G) == []
    nvml.create_at(device, ID_1G, 2, 1)


def test_a_sick_gpu_keeps_what_is_on_it(node: SimNode, workload: subprocess.Popen[bytes]) -> None:
    """Until it is reset, the slice and its process are there, for whoever can look."""
    (slice_,) = node.gpus[0].instances[0].compute_instances
    node.hold(slice_.uuid, workload.pid)
    node.require_reset(0)
    assert node.gpus[0].instances[0].compute_instances[0].pids == (workload.pid,)
    node.reset(0)
    assert node.gpus[0].instances == ()
