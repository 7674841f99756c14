"""What a GPU can be cut into: the walk over the enums, the struct versions, and the three numbers called profile."""

import ctypes
import re
from typing import Any

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Machine

FIRST = pynvml.c_nvmlGpuInstanceProfileInfo_t
SECOND = pynvml.c_nvmlGpuInstanceProfileInfo_v2_t
BY_ENUM, BY_ENUM_V, BY_ID_V = (
    "nvmlDeviceGetGpuInstanceProfileInfo",
    "nvmlDeviceGetGpuInstanceProfileInfoV",
    "nvmlDeviceGetGpuInstanceProfileInfoByIdV",
)


def told(structure: Any) -> dict[str, Any]:
    """What all versions tell, with the name where there is one."""
    facts: dict[str, Any] = nvml.chosen(structure, nvml.GI_FACTS)
    return {**facts, "name": nvml.text(structure.name)} if hasattr(structure, "name") else facts


def test_enums_are_walked_until_one_is_invalid(machine: Machine, facts: Facts) -> None:
    """Each is there or not supported, up to the first invalid one; behind it all are invalid."""
    for gpu in machine.cut():
        codes = [nvml.read(FIRST, BY_ENUM, gpu.handle, enum)[0] for enum in range(64)]
        end = codes.index(nvml.INVALID_ARGUMENT) if nvml.INVALID_ARGUMENT in codes else len(codes)
        facts.holds("the walk ends", end < len(codes), where=gpu, found=end)
        facts.holds("enums before its end are there or not supported", set(codes[:end]) <= {nvml.SUCCESS, nvml.NOT_SUPPORTED},
                    where=gpu, found=sorted(set(codes[:end])))  # fmt: skip
        facts.same("enums behind its end", expected={nvml.INVALID_ARGUMENT}, found=set(codes[end:]), where=gpu)
        facts.holds(
            "several profiles are there",
            codes.count(nvml.SUCCESS) >= 3,
            where=gpu,
            found=codes.count(nvml.SUCCESS),
        )
        facts.holds("the bindings know every enum", end <= pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT, where=gpu, found=end)


def test_the_struct_versions_tell_the_same(machine: Machine, facts: Facts) -> None:
    """Versions 1, 2 and 3 by enum, and 2 by profile id, differ only in what the younger ones add."""
    for gpu in machine.cut():
        for profile in nvml.profiles(gpu.handle):
            where = f"{gpu} {profile.name}"
            _, second = nvml.read(SECOND, BY_ENUM_V, gpu.handle, profile.enum, version=2)
            for name, (code, structure) in {
                "version 1": nvml.read(FIRST, BY_ENUM, gpu.handle, profile.enum),
                "version 3": nvml.read(nvml.GiProfile3, BY_ENUM_V, gpu.handle, profile.enum, version=3),
                "by profile id": nvml.read(SECOND, BY_ID_V, gpu.handle, profile.id, version=2),
            }.items():
                if code == nvml.FUNCTION_NOT_FOUND:  # ByIdV came later than MIG
                    continue
                facts.code(f"{name} is answered", expected=nvml.SUCCESS, found=code, where=where)
                known = told(structure)
                facts.same(f"{name} tells the same", expected={k: v for k, v in told(second).items() if k in known},
                           found=known, where=where)  # fmt: skip


def test_a_struct_of_no_version_is_refused(machine: Machine, facts: Facts) -> None:
    """Older and newer clients than the driver learn so from the code, never from garbage."""
    for gpu in machine.cut():
        enum = nvml.profiles(gpu.handle)[0].enum
        code, _ = nvml.read(SECOND, BY_ENUM_V, gpu.handle, enum, version=9)
        facts.code("version word 9", expected=(nvml.VERSION_MISMATCH, nvml.INVALID_ARGUMENT), found=code, where=gpu)


def test_names_say_slices_and_memory(machine: Machine, facts: Facts) -> None:
    """`MIG 3g.40gb+me`: the slices of the name are exact, its memory is near the real size."""
    for gpu in machine.cut():
        for profile in nvml.profiles(gpu.handle):
            form = re.fullmatch(r"MIG (\d+)g\.(\d+)gb([+-]\S+)?", profile.name)
            facts.holds("its name has the known form", form is not None, where=gpu, found=profile.name)
            if form is None:
                continue
            gib = profile.memory_mib / 1024
            facts.same(f"slices of {profile.name}", expected=int(form[1]), found=profile.slices, where=gpu)
            near = abs(gib - int(form[2])) <= max(1, int(form[2]) / 20)  # 7g.80gb of an A100 has 78.5
            facts.holds(f"memory of {profile.name}", near, where=gpu, found=f"{gib:.2f} GiB")


def test_profile_ids_are_names_of_their_own(machine: Machine, facts: Facts) -> None:
    """No two profiles share one, and they are not the enums; the whole GPU is id 0."""
    for gpu in machine.cut():
        profiles = nvml.profiles(gpu.handle)
        ids = {profile.id for profile in profiles}
        whole = max(profiles, key=lambda profile: (profile.slices, profile.memory_mib, -profile.id))
        facts.same("different ids", expected=len(profiles), found=len(ids), where=gpu)
        facts.holds("ids are not enums", any(p.id != p.enum for p in profiles), where=gpu, found=sorted(ids))
        facts.same("at most one of the whole GPU", expected=1, found=whole.most, where=gpu)
        unknown, _ = nvml.number("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu.handle, max(ids) + 1000)
        facts.code("capacity of an id that is none", expected=(nvml.INVALID_ARGUMENT, nvml.NOT_SUPPORTED), found=unknown,
                   where=gpu)  # fmt: skip


def test_a_missing_place_for_the_answer_is_refused(machine: Machine, facts: Facts) -> None:
    """NULL where a structure should be."""
    for gpu in machine.cut():
        facts.code("profile info into NULL", expected=nvml.INVALID_ARGUMENT, where=gpu,
                   found=nvml.call(BY_ENUM, gpu.handle, 0, ctypes.c_void_p()))  # fmt: skip
