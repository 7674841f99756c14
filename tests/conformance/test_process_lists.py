"""Who computes where: NVML's protocol for lists, and whose instance an entry names. Reads only."""

import ctypes
from typing import Any

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Machine

RUNNING = "nvmlDeviceGetComputeRunningProcesses_v3"
TRIES = 10


def ask(device: Any, room: int) -> tuple[int, int, list[Any]]:
    """Code, number told, entries, of a list into an array with so much room."""
    array, count = (pynvml.c_nvmlProcessInfo_v3_t * max(room, 1))(), ctypes.c_uint(room)
    code = nvml.call(RUNNING, device, ctypes.byref(count), array if room else ctypes.c_void_p())
    return code, count.value, list(array[: min(room, count.value)])


def test_the_list_is_asked_for_twice(machine: Machine, facts: Facts) -> None:
    """Without room it says how much it needs, and with that room it is complete; processes that come or go are not an error."""
    for gpu in machine.gpus:
        where, (code, needed, _) = gpu, ask(gpu.handle, 0)
        facts.code("asked without room", where=where, found=code,
                   expected=nvml.INSUFFICIENT_SIZE if needed else nvml.SUCCESS)  # fmt: skip
        code, told, entries = ask(gpu.handle, needed * 2 + 16)
        facts.code("asked with room", expected=nvml.SUCCESS, found=code, where=where)
        facts.same("as many entries as told", expected=told, found=len(entries), where=where)
        facts.holds(
            "every entry is a process",
            all(entry.pid > 0 for entry in entries),
            where=where,
            found=[e.pid for e in entries],
        )


def test_too_little_room_is_told_and_not_filled(machine: Machine, facts: Facts) -> None:
    """INSUFFICIENT_SIZE and the number that is needed, never a list that looks complete."""
    for gpu in machine.gpus:
        needed, code, told = steady(gpu.handle, room=1)
        facts.code(f"room for one, {needed} needed", where=gpu, found=code,
                   expected=nvml.INSUFFICIENT_SIZE if needed > 1 else nvml.SUCCESS)  # fmt: skip
        facts.same("the number that is needed", expected=needed, found=told, where=gpu)


def steady(device: Any, *, room: int) -> tuple[int, int, int]:
    """Number needed, code, number told; asked again while processes come and go in between."""
    for _ in range(TRIES):
        (_, before, _), (code, told, _), (_, after, _) = ask(device, 0), ask(device, room), ask(device, 0)
        if before == after:
            break
    return before, code, told


def test_an_entry_names_its_instance(machine: Machine, facts: Facts) -> None:
    """On a GPU that is cut, an instance that exists; on any other, none."""
    for gpu in machine.gpus:
        _, _, entries = ask(gpu.handle, 256)
        named = {entry.gpuInstanceId for entry in entries}
        if gpu.current == 1:
            ids = {info.id for *_, info in nvml.instances(gpu.handle)}
            facts.holds("its GPU instance exists", named <= ids, where=gpu, found=sorted(named))
        else:
            facts.holds("it names no GPU instance", named <= {nvml.WHOLE_GPU}, where=gpu, found=sorted(named))


def test_a_mig_device_lists_its_own(machine: Machine, facts: Facts) -> None:
    """The lists of a GPU's MIG devices are, together, the list of the GPU."""
    for gpu in machine.with_instances():
        _, _, entries = ask(gpu.handle, 256)
        parts = [
            (entry.pid, nvml.get("nvmlDeviceGetGpuInstanceId", device))
            for device in nvml.mig_devices(gpu.handle)
            for entry in ask(device, 256)[2]
        ]
        whole = sorted((entry.pid, entry.gpuInstanceId) for entry in entries)
        facts.same("processes of all MIG devices", expected=whole, found=sorted(parts), where=gpu)
