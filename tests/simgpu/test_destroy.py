"""Taking instances away: the order that the driver insists on, and handles of what is gone."""

from __future__ import annotations

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, ID_1G, IN_USE, INVALID_ARGUMENT, NOT_FOUND


def test_a_gpu_instance_goes_only_after_its_compute_instances(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    instance = nvml.nvmlDeviceCreateGpuInstance(nvml.nvmlDeviceGetHandleByIndex(0), ID_1G)
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
    assert nvml.fails(IN_USE, "nvmlGpuInstanceDestroy", instance)
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)
    assert a100.gpus[0].instances == ()


def test_what_is_gone_is_not_found_and_its_handles_never_mean_a_successor(a100: SimNode, connect: Connect) -> None:
    """Ids and UUID come back with a new instance at the place, the old handles do not."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)

    def make() -> tuple[object, object, object]:
        instance = nvml.create_at(device, ID_1G, 0, 1)
        compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
        return instance, compute, nvml.nvmlComputeInstanceGetInfo(compute)["device"]

    instance, compute, mig = make()
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)
    for successor in (False, True):
        if successor:
            make()
        assert nvml.fails(NOT_FOUND, "nvmlComputeInstanceDestroy", compute)
        assert nvml.fails(NOT_FOUND, "nvmlGpuInstanceDestroy", instance)
        assert nvml.fails(NOT_FOUND, "nvmlGpuInstanceGetInfo", instance)
        assert nvml.fails(NOT_FOUND, "nvmlDeviceGetUUID", mig)
    assert len(a100.gpus[0].instances) == 1


def test_a_handle_of_the_wrong_kind_is_an_invalid_argument(a100: SimNode, connect: Connect) -> None:
    """NULL and strangers are refused, not followed."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    instance = nvml.nvmlDeviceCreateGpuInstance(device, ID_1G)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlGpuInstanceDestroy", device)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlDeviceGetUUID", instance)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlDeviceGetUUID", None)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlDeviceGetUUID", 4096)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlDeviceGetHandleByIndex", 1)
    assert nvml.fails(NOT_FOUND, "nvmlDeviceGetHandleByUUID", "GPU-00000000-0000-0000-0000-000000000000")
