"""Compute instances, and the MIG devices that they are."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import (
    CI_1,
    CI_2,
    CI_3,
    CI_4,
    CI_7,
    ID_1G,
    ID_1G_DOUBLE,
    ID_1G_ME,
    ID_2G,
    ID_3G,
    ID_4G,
    ID_7G,
    INSUFFICIENT_RESOURCES,
    INVALID_ARGUMENT,
    NOT_FOUND,
    NOT_SUPPORTED,
    Nvml,
)


def mig_uuids(nvml: Nvml, device: Any) -> list[str]:
    """The MIG devices of the GPU, by index until there is none."""
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(device)):
        if nvml.fails(NOT_FOUND, "nvmlDeviceGetMigDeviceHandleByIndex", device, index):
            break
        found.append(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index)))
    return found


@pytest.mark.parametrize(
    ("gi_profile", "ci_profile", "slices"),
    [
        (ID_1G, CI_1, 1),
        (ID_1G_ME, CI_1, 1),
        (ID_1G_DOUBLE, CI_1, 1),
        (ID_2G, CI_2, 2),
        (ID_3G, CI_3, 3),
        (ID_4G, CI_4, 4),
        (ID_7G, CI_7, 7),
    ],
)
def test_the_profile_for_a_whole_instance_goes_by_slice_count(
    gi_profile: int, ci_profile: int, slices: int, a100: SimNode, connect: Connect
) -> None:
    nvml = connect(a100)
    instance = nvml.nvmlDeviceCreateGpuInstance(nvml.nvmlDeviceGetHandleByIndex(0), gi_profile)
    assert nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, ci_profile, 0)["sliceCount"] == slices
    info = nvml.nvmlComputeInstanceGetInfo(nvml.nvmlGpuInstanceCreateComputeInstance(instance, ci_profile))
    assert (info["id"], info["profileId"], info["placement"]) == (0, ci_profile, {"start": 0, "size": slices})


@pytest.mark.parametrize("trap", [7, 8])
@pytest.mark.parametrize("gi_profile", [ID_1G, ID_7G])
def test_inviting_enum_names_are_traps(trap: int, gi_profile: int, a100: SimNode, connect: Connect) -> None:
    """1_SLICE_REV1 and 7_SLICE_NVL sound right for 1g and 7g, and fail."""
    nvml = connect(a100)
    instance = nvml.nvmlDeviceCreateGpuInstance(nvml.nvmlDeviceGetHandleByIndex(0), gi_profile)
    assert nvml.fails(NOT_SUPPORTED, "nvmlGpuInstanceGetComputeInstanceProfileInfo", instance, trap, 0)
    assert nvml.fails(NOT_SUPPORTED, "nvmlGpuInstanceCreateComputeInstance", instance, trap)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlGpuInstanceCreateComputeInstance", instance, 9)


def test_an_instance_can_be_divided_among_several(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    instance = nvml.nvmlDeviceCreateGpuInstance(nvml.nvmlDeviceGetHandleByIndex(0), ID_3G)
    assert nvml.nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance, CI_1) == 3
    one, two = (nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1) for _ in range(2))
    infos = [nvml.nvmlComputeInstanceGetInfo(ci) for ci in (one, two)]
    assert [(info["id"], info["placement"]["start"]) for info in infos] == [(0, 0), (1, 1)]
    assert nvml.nvmlDeviceGetName(infos[1]["device"]) == "NVIDIA A100-SXM4-80GB MIG 1c.3g.40gb"
    assert nvml.nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance, CI_1) == 1
    assert nvml.fails(INSUFFICIENT_RESOURCES, "nvmlGpuInstanceCreateComputeInstance", instance, CI_3)
    nvml.nvmlComputeInstanceDestroy(one)
    again = nvml.nvmlComputeInstanceGetInfo(nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1))
    assert (again["id"], again["placement"]["start"]) == (0, 0)
    assert len(nvml.compute_instances(instance, CI_1)) == 2


def test_a_mig_device_exists_only_where_a_compute_instance_does(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    instance = nvml.nvmlDeviceCreateGpuInstance(device, ID_2G)
    assert mig_uuids(nvml, device) == []
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_2)
    assert len(mig_uuids(nvml, device)) == 1
    nvml.nvmlComputeInstanceDestroy(compute)
    assert mig_uuids(nvml, device) == []


def test_a_compute_instance_leads_to_its_device_and_back(a100: SimNode, connect: Connect) -> None:
    """UUID, name, memory, ids, engine counts and parent: everything that an agent reads about a slice."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    instance = nvml.nvmlDeviceCreateGpuInstance(device, ID_1G_ME)
    gi_id = nvml.nvmlGpuInstanceGetInfo(instance)["id"]
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
    mig = nvml.nvmlComputeInstanceGetInfo(compute)["device"]
    name = nvml.nvmlDeviceGetUUID(mig)
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(name)) == name
    assert nvml.nvmlDeviceGetName(mig) == "NVIDIA A100-SXM4-80GB MIG 1g.10gb+me"
    assert nvml.nvmlDeviceIsMigDeviceHandle(mig) == 1
    assert nvml.nvmlDeviceIsMigDeviceHandle(device) == 0
    assert (nvml.nvmlDeviceGetGpuInstanceId(mig), nvml.nvmlDeviceGetComputeInstanceId(mig)) == (gi_id, 0)
    assert nvml.nvmlDeviceGetMemoryInfo(mig)["total"] == 9856 << 20
    attributes = nvml.nvmlDeviceGetAttributes(mig)
    assert (attributes["gpuInstanceSliceCount"], attributes["sharedJpegCount"]) == (1, 1)
    parent = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig)
    assert nvml.nvmlDeviceGetUUID(parent) == a100.gpus[0].uuid
    assert nvml.fails(NOT_SUPPORTED, "nvmlDeviceGetGpuInstanceId", device)


def test_a_mig_uuid_follows_from_gpu_and_ids(a100: SimNode, h100: SimNode, connect: Connect) -> None:
    """The same place has the same version-5 UUID each time; another place, or another GPU, another one."""
    seen = []
    for node, start in [(a100, 0), (a100, 1), (a100, 0), (h100, 0)]:
        nvml = connect(node)
        instance = nvml.create_at(nvml.nvmlDeviceGetHandleByIndex(0), ID_1G, start, 1)
        compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
        seen.append(nvml.nvmlDeviceGetUUID(nvml.nvmlComputeInstanceGetInfo(compute)["device"]))
        nvml.nvmlComputeInstanceDestroy(compute)
        nvml.nvmlGpuInstanceDestroy(instance)
    assert seen[0] == seen[2]
    assert len(set(seen)) == 3
    assert all(text.startswith("MIG-") and uuid.UUID(text[4:]).version == 5 for text in seen)
