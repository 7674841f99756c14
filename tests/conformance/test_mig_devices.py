"""MIG devices, as CUDA and container runtimes see them, are the compute instances that are there. Reads only."""

import re
from typing import Any

from tests.conformance import nvml
from tests.conformance.facts import Facts
from tests.conformance.machine import Gpu, Machine
from tests.conformance.nvml import Profile

UUID = r"MIG-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Key = tuple[int, int, str]


def enumerated(gpu: Gpu) -> dict[Key, Any]:
    """By index: (GI id, CI id, UUID) → handle."""
    return {key(device): device for device in nvml.mig_devices(gpu.handle)}


def key(device: Any) -> Key:
    """What names a MIG device."""
    ids = (nvml.get("nvmlDeviceGetGpuInstanceId", device), nvml.get("nvmlDeviceGetComputeInstanceId", device))
    return *ids, nvml.get("nvmlDeviceGetUUID", device)


def listed(gpu: Gpu) -> dict[Key, tuple[Profile, Any]]:
    """Through the instances, as an administrator does: the same keys → profile of the GI, info of the CI."""
    found = {}
    for profile, gi, instance in nvml.instances(gpu.handle):
        for ci in nvml.compute_instances(gi):
            info = nvml.get("nvmlComputeInstanceGetInfo", ci)
            found[instance.id, info.id, nvml.get("nvmlDeviceGetUUID", info.device)] = profile, info
    return found


def test_each_compute_instance_is_a_mig_device(machine: Machine, facts: Facts) -> None:
    """Walking the indices finds what listing the instances finds, and a GPU instance alone is no device."""
    for gpu in machine.with_instances():
        facts.same(
            "devices by index and by listing",
            expected=sorted(listed(gpu)),
            found=sorted(enumerated(gpu)),
            where=gpu,
        )


def test_a_mig_device_knows_what_it_is(machine: Machine, facts: Facts) -> None:
    """It says that it is one, names its GPU, and is found by its UUID."""
    for gpu in machine.with_instances():
        for names, device in enumerated(gpu).items():
            where, uuid = f"{gpu} GI {names[0]} CI {names[1]}", names[2]
            parent = nvml.get("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", device)
            facts.same("a MIG device's handle", expected=(nvml.SUCCESS, 1), where=where,
                       found=nvml.number("nvmlDeviceIsMigDeviceHandle", device))  # fmt: skip
            facts.same("its GPU", expected=gpu.uuid, found=nvml.get("nvmlDeviceGetUUID", parent), where=where)
            facts.same(
                "found by its UUID", expected=names, found=key(nvml.get("nvmlDeviceGetHandleByUUID", uuid)), where=where
            )
            facts.holds(
                "UUID is MIG- and 8-4-4-4-12 hex digits", bool(re.fullmatch(UUID, uuid)), where=where, found=uuid
            )


def test_a_mig_device_has_the_shape_of_its_profile(machine: Machine, facts: Facts) -> None:
    """Slices and memory of its GPU instance, slices of its own, and the profile's name at the end of its own."""
    for gpu in machine.with_instances():
        instances = listed(gpu)
        for names, device in enumerated(gpu).items():
            (profile, info), where = instances[names], f"{gpu} GI {names[0]} CI {names[1]}"
            told, name = nvml.get("nvmlDeviceGetAttributes", device), nvml.get("nvmlDeviceGetName", device)
            facts.same("GPU instance's slices", expected=profile.slices, found=told.gpuInstanceSliceCount, where=where)
            facts.same("memory in MiB", expected=profile.memory_mib, found=told.memorySizeMB, where=where)
            facts.same("own slices", expected=info.placement.size, found=told.computeInstanceSliceCount, where=where)
            if told.computeInstanceSliceCount == profile.slices:
                facts.same("its name", expected=f"{gpu.name} {profile.name}", found=name, where=where)


def test_what_a_part_of_a_gpu_cannot_have_is_refused(machine: Machine, facts: Facts) -> None:
    """A device node of its own, or parts of its own; the index behind the last is none."""
    refusals = (nvml.NOT_SUPPORTED, nvml.INVALID_ARGUMENT, nvml.NOT_FOUND)
    for gpu in machine.with_instances():
        for names, device in enumerated(gpu).items():
            where = f"{gpu} GI {names[0]} CI {names[1]}"
            facts.code(
                "minor number", expected=refusals, found=nvml.number("nvmlDeviceGetMinorNumber", device)[0], where=where
            )
            facts.code("MIG devices in it", expected=refusals, where=where,
                       found=nvml.read(type(device), "nvmlDeviceGetMigDeviceHandleByIndex", device, 0)[0])  # fmt: skip
        _, most = nvml.number("nvmlDeviceGetMaxMigDeviceCount", gpu.handle)
        code, _ = nvml.read(type(gpu.handle), "nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, most)
        facts.code(
            "MIG device behind the last", expected=(nvml.NOT_FOUND, nvml.INVALID_ARGUMENT), found=code, where=gpu
        )
