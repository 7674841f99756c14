"""Which compute instance fills a GPU instance. The agent makes exactly that one; the inviting other enums are traps. Reads only."""

from typing import Any

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Gpu, Machine
from tests.conformance.nvml import Profile

FULL = {1: 0, 2: 1, 3: 2, 4: 3, 6: 6, 7: 4, 8: 5}
"""Compute slices → the enum of the compute instance that has as many."""

FIRST = pynvml.c_nvmlComputeInstanceProfileInfo_t
SECOND = pynvml.c_nvmlComputeInstanceProfileInfo_v2_t
BY_ENUM = "nvmlGpuInstanceGetComputeInstanceProfileInfo"
BY_ENUM_V = "nvmlGpuInstanceGetComputeInstanceProfileInfoV"


def instances(gpu: Gpu) -> list[tuple[Profile, Any, str]]:
    """Profile, handle and name of every GPU instance."""
    return [(profile, gi, f"{gpu} GI {info.id}") for profile, gi, info in nvml.instances(gpu.handle)]


def test_the_filling_compute_instance_goes_by_slice_count(machine: Machine, facts: Facts) -> None:
    """One enum for each number of slices, offered once in the GPU instance that it fills, under the plain profile name."""
    for gpu in machine.with_instances():
        for profile, gi, where in instances(gpu):
            code, info = nvml.read(SECOND, BY_ENUM_V, gi, FULL[profile.slices], 0, version=2)
            facts.code(f"enum of {profile.slices} slices is offered", expected=nvml.SUCCESS, found=code, where=where)
            facts.same("it has as many slices", expected=profile.slices, found=info.sliceCount, where=where)
            facts.same("it fits once", expected=1, found=info.instanceCount, where=where)
            facts.same("it is called as the profile", expected=profile.name, found=nvml.text(info.name), where=where)


def test_every_offered_one_fits(machine: Machine, facts: Facts) -> None:
    """Slices and number of none exceed those of its GPU instance; ids tell them apart."""
    for gpu in machine.with_instances():
        for profile, gi, where in instances(gpu):
            offered = nvml.compute_profiles(gi)
            facts.same("different ids", expected=len(offered), found=len({o.id for o in offered.values()}), where=where)
            for enum, info in offered.items():
                facts.holds(f"enum {enum} fits", info.sliceCount * info.instanceCount <= profile.slices, where=where,
                            found=f"{info.instanceCount} of {info.sliceCount} slices")  # fmt: skip


def test_enums_end_with_an_invalid_one(machine: Machine, facts: Facts) -> None:
    """Those that are known are there or not supported."""
    for gpu in machine.with_instances():
        for _, gi, where in instances(gpu):
            codes = [
                nvml.read(FIRST, BY_ENUM, gi, enum, 0)[0] for enum in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT)
            ]
            facts.holds("known enums are there or not supported", set(codes) <= {nvml.SUCCESS, nvml.NOT_SUPPORTED},
                        where=where, found=codes)  # fmt: skip
            facts.code(
                "enum 64", expected=nvml.INVALID_ARGUMENT, found=nvml.read(FIRST, BY_ENUM, gi, 64, 0)[0], where=where
            )


def test_the_struct_versions_tell_the_same(machine: Machine, facts: Facts) -> None:
    """Versions 1 and 3 against 2, of every profile that is offered."""
    for gpu in machine.with_instances():
        for _, gi, where in instances(gpu):
            for enum, second in nvml.compute_profiles(gi).items():
                first_code, first = nvml.read(FIRST, BY_ENUM, gi, enum, 0)
                third_code, third = nvml.read(nvml.CiProfile3, BY_ENUM_V, gi, enum, 0, version=3)
                expected = nvml.chosen(second, nvml.CI_FACTS)
                facts.code(f"version 1 of enum {enum}", expected=nvml.SUCCESS, found=first_code, where=where)
                facts.same("tells the same", expected=expected, found=nvml.chosen(first, nvml.CI_FACTS), where=where)
                facts.code(
                    f"version 3 of enum {enum}",
                    expected=(nvml.SUCCESS, nvml.VERSION_MISMATCH),
                    found=third_code,
                    where=where,
                )
                if third_code == nvml.SUCCESS:
                    facts.same(
                        "tells the same", expected=expected, found=nvml.chosen(third, nvml.CI_FACTS), where=where
                    )
                    facts.same("name", expected=nvml.text(second.name), found=nvml.text(third.name), where=where)
