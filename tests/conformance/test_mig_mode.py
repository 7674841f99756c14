"""What MIG mode allows: everything where it is on, nothing where it is off, and a plain refusal where there is none."""

import ctypes

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Gpu, Machine


def mode(gpu: Gpu) -> tuple[int, int, int]:
    """Code, current and pending mode."""
    current, pending = ctypes.c_uint(9), ctypes.c_uint(9)
    code = nvml.call("nvmlDeviceGetMigMode", gpu.handle, ctypes.byref(current), ctypes.byref(pending))
    return code, current.value, pending.value


def listing(gpu: Gpu) -> int:
    """What a listing of instances answers; 0 is the profile of the whole GPU on every model."""
    array, count = (pynvml.c_nvmlGpuInstance_t * 16)(), ctypes.c_uint()
    return nvml.call("nvmlDeviceGetGpuInstances", gpu.handle, 0, array, ctypes.byref(count))


def test_a_gpu_without_mig_refuses_all_of_it(machine: Machine, facts: Facts) -> None:
    """The agent leaves such a GPU alone, and must be told so by NOT_SUPPORTED alone."""
    for gpu in machine.without_mig():
        where = gpu
        profile, _ = nvml.read(
            pynvml.c_nvmlGpuInstanceProfileInfo_t, "nvmlDeviceGetGpuInstanceProfileInfo", gpu.handle, 0
        )
        device, _ = nvml.read(type(gpu.handle), "nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, 0)
        facts.code("MIG mode", expected=nvml.NOT_SUPPORTED, found=mode(gpu)[0], where=where)
        facts.code("profiles", expected=nvml.NOT_SUPPORTED, found=profile, where=where)
        facts.code("GPU instances", expected=nvml.NOT_SUPPORTED, found=listing(gpu), where=where)
        facts.code("first MIG device", expected=(nvml.NOT_SUPPORTED, nvml.NOT_FOUND), found=device, where=where)
        facts.same("most MIG devices", expected=(nvml.SUCCESS, 0), where=where,
                   found=nvml.number("nvmlDeviceGetMaxMigDeviceCount", gpu.handle))  # fmt: skip


def test_a_gpu_with_mig_off_has_no_instances_to_list(machine: Machine, facts: Facts) -> None:
    """The mode can be read; profile info may be told or refused; listing instances and MIG devices is refused."""
    for gpu in machine.uncut():
        where = gpu
        profile, _ = nvml.read(
            pynvml.c_nvmlGpuInstanceProfileInfo_t, "nvmlDeviceGetGpuInstanceProfileInfo", gpu.handle, 4
        )
        device, _ = nvml.read(type(gpu.handle), "nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, 0)
        facts.same("MIG mode", expected=(nvml.SUCCESS, 0, 0), found=mode(gpu), where=where)
        facts.code("profiles", expected=(nvml.SUCCESS, nvml.NOT_SUPPORTED), found=profile, where=where)
        facts.code("GPU instances", expected=nvml.NOT_SUPPORTED, found=listing(gpu), where=where)
        facts.code("first MIG device", expected=(nvml.NOT_SUPPORTED, nvml.NOT_FOUND), found=device, where=where)
        facts.same("most MIG devices", expected=(nvml.SUCCESS, 0), where=where,
                   found=nvml.number("nvmlDeviceGetMaxMigDeviceCount", gpu.handle))  # fmt: skip


def test_a_gpu_with_mig_on_says_how_many_devices_it_can_be(machine: Machine, facts: Facts) -> None:
    """As many as it has compute slices: those of its largest profile."""
    for gpu in machine.cut():
        slices = max(profile.slices for profile in nvml.profiles(gpu.handle))
        facts.same("MIG mode", expected=(nvml.SUCCESS, 1, 1), found=mode(gpu), where=gpu)
        facts.same("most MIG devices", expected=(nvml.SUCCESS, slices), where=gpu,
                   found=nvml.number("nvmlDeviceGetMaxMigDeviceCount", gpu.handle))  # fmt: skip


def test_setting_the_mode_that_is_on_changes_nothing(machine: Machine, facts: Facts) -> None:
    """The activation status is a result of its own beside the return code."""
    for gpu in machine.changeable():
        activation = ctypes.c_int(-1)
        code = nvml.call("nvmlDeviceSetMigMode", gpu.handle, 1, ctypes.byref(activation))
        facts.code("setting MIG mode on again", expected=nvml.SUCCESS, found=code, where=gpu)
        facts.code("its activation", expected=nvml.SUCCESS, found=activation.value, where=gpu)
        facts.same("MIG mode afterwards", expected=(nvml.SUCCESS, 1, 1), found=mode(gpu), where=gpu)
