"""Processes on a slice: listed while they live, and while they live the slice stays."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from simgpu import RefusedError, SimNode, UnknownGpuError, layout
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, ID_1G, IN_USE


def test_a_held_slice_cannot_be_destroyed_until_its_process_ends(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """N2: IN_USE while the process lives; its death alone frees the slice, before anyone waits for it."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    instance = nvml.create_at(device, ID_1G, 0, 1)
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
    mig = nvml.nvmlComputeInstanceGetInfo(compute)["device"]
    a100.hold(nvml.nvmlDeviceGetUUID(mig), workload.pid)
    assert nvml.fails(IN_USE, "nvmlComputeInstanceDestroy", compute)
    assert nvml.fails(IN_USE, "nvmlGpuInstanceDestroy", instance)
    with pytest.raises(RefusedError) as refusal:
        a100.destroy(0, 11)
    assert refusal.value.code == IN_USE
    workload.kill()
    while nvml.nvmlDeviceGetComputeRunningProcesses_v3(mig):  # a zombie by now, and that is dead enough
        time.sleep(0.001)
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)


def test_processes_are_listed_by_gpu_and_by_slice(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """The GPU lists all with the ids of their instance, a MIG device its own; memory in use follows."""
    ids = [a100.create_foreign(0, "1g.10gb", start) for start in (0, 1)]
    first, second = (gi.compute_instances[0].uuid for gi in a100.gpus[0].instances)
    a100.hold(first, workload.pid, memory_mib=100)
    nvml = connect(a100)
    expected = {"pid": workload.pid, "usedGpuMemory": 100 << 20, "gpuInstanceId": ids[0], "computeInstanceId": 0}
    assert nvml.nvmlDeviceGetComputeRunningProcesses_v3(nvml.nvmlDeviceGetHandleByIndex(0)) == [expected]
    mine, other = (nvml.nvmlDeviceGetHandleByUUID(each) for each in (first, second))
    assert nvml.nvmlDeviceGetComputeRunningProcesses_v3(mine) == [expected]
    assert nvml.nvmlDeviceGetComputeRunningProcesses_v3(other) == []
    assert nvml.nvmlDeviceGetGraphicsRunningProcesses_v3(mine) == []
    assert nvml.nvmlDeviceGetMemoryInfo(mine)["used"] == 100 << 20
    assert [gi.compute_instances[0].pids for gi in a100.gpus[0].instances] == [(workload.pid,), ()]
    a100.release(workload.pid)
    assert nvml.nvmlDeviceGetComputeRunningProcesses_v3(mine) == []


def test_a_process_on_a_whole_gpu_has_no_instance(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    a100.hold(a100.gpus[0].uuid, workload.pid)
    nvml = connect(a100)
    (process,) = nvml.nvmlDeviceGetComputeRunningProcesses_v3(nvml.nvmlDeviceGetHandleByIndex(0))
    assert (process["gpuInstanceId"], process["computeInstanceId"]) == (0xFFFFFFFF, 0xFFFFFFFF)
    assert a100.gpus[0].pids == (workload.pid,)


def test_an_instance_in_use_loses_none_of_its_parts(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """An administrator who destroys a divided instance, one part of which is in use, changes nothing."""
    gi = a100.create_foreign(0, "3g.40gb", 0, with_ci=False)
    nvml = connect(a100)
    instance = nvml.nvmlDeviceGetGpuInstanceById(nvml.nvmlDeviceGetHandleByIndex(0), gi)
    for _ in range(2):
        nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
    before = a100.gpus[0].instances[0].compute_instances
    a100.hold(before[1].uuid, workload.pid)
    with pytest.raises(RefusedError):
        a100.destroy(0, gi)
    a100.release(workload.pid)
    assert a100.gpus[0].instances[0].compute_instances == before
    a100.destroy(0, gi)


def test_a_later_process_with_the_same_pid_is_not_the_holder(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """Pids are used again: who holds a slice is told by pid and start time."""
    gi = a100.create_foreign(0, "1g.10gb", 0)
    (compute,) = a100.gpus[0].instances[0].compute_instances
    a100.hold(compute.uuid, workload.pid)
    a100._file.state.gpus[0].holds[0].started -= 1  # as if the pid had belonged to an earlier process
    nvml = connect(a100)
    assert nvml.nvmlDeviceGetComputeRunningProcesses_v3(nvml.nvmlDeviceGetHandleByIndex(0)) == []
    assert [each.compute_instances[0].pids for each in a100.gpus[0].instances] == [()]
    a100.destroy(0, gi)


def test_only_a_living_process_can_hold_an_existing_device(a100: SimNode, workload: subprocess.Popen[bytes]) -> None:
    with pytest.raises(UnknownGpuError):
        a100.hold("MIG-00000000-0000-0000-0000-000000000000", workload.pid)
    workload.kill()
    workload.wait()
    with pytest.raises(ProcessLookupError):
        a100.hold(a100.gpus[0].uuid, workload.pid)


def test_a_device_lingers_in_use_after_its_process_ended(
    a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]
) -> None:
    """N2: the process list is empty, and the driver still says IN_USE, for a while from the first look at it."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    instance = nvml.create_at(device, ID_1G, 0, 1)
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
    a100.linger(600_000)
    a100.hold(a100.gpus[0].instances[0].compute_instances[0].uuid, workload.pid)
    workload.kill()
    workload.wait()
    assert nvml.nvmlDeviceGetComputeRunningProcesses_v3(device) == []
    assert a100.gpus[0].instances[0].compute_instances[0].pids == ()
    assert nvml.fails(IN_USE, "nvmlComputeInstanceDestroy", compute)
    with pytest.raises(RefusedError):
        a100.destroy(0, 11)
    a100.linger(0)
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)


@pytest.mark.parametrize("how", ["released", "killed"])
def test_lingering_ends_by_itself(how: str, a100: SimNode, connect: Connect, workload: subprocess.Popen[bytes]) -> None:
    """N2: who tries again is let through once the time is over, and not before."""
    a100.create_foreign(0, "1g.10gb", 0)
    nvml = connect(a100)
    (instance,) = nvml.gpu_instances(nvml.nvmlDeviceGetHandleByIndex(0), ID_1G)
    (compute,) = nvml.compute_instances(instance, CI_1)
    a100.linger(600_000, gpu=0)
    a100.hold(a100.gpus[0].instances[0].compute_instances[0].uuid, workload.pid)
    before = time.monotonic()
    if how == "released":
        a100.release(workload.pid)
    else:
        workload.kill()
        workload.wait()
    assert nvml.fails(IN_USE, "nvmlComputeInstanceDestroy", compute)
    a100.linger(300, gpu=0)
    while nvml.fails(IN_USE, "nvmlComputeInstanceDestroy", compute):
        time.sleep(0.01)
    assert time.monotonic() - before >= 0.3
    assert a100.gpus[0].instances[0].compute_instances == ()


def test_lingering_is_of_one_gpu_and_of_one_device(tmp_path: Path, workload: subprocess.Popen[bytes]) -> None:
    """The neighbour on the same GPU and the other GPU can be taken away at once."""
    node = SimNode.create(tmp_path / "node", gpus=["a100-80gb", "a100-80gb"])
    node.linger(600_000, gpu=0)
    ids = [node.create_foreign(gpu, "1g.10gb", start) for gpu, start in ((0, 0), (0, 1), (1, 0))]
    devices = [gi.compute_instances[0].uuid for gpu in node.gpus for gi in gpu.instances]
    node.hold(devices[0], workload.pid)
    node.hold(devices[2], workload.pid)
    node.release(workload.pid)
    node.destroy(0, ids[1])
    node.destroy(1, ids[2])
    with pytest.raises(RefusedError):
        node.destroy(0, ids[0])


def test_a_gpu_whose_process_lingers_keeps_its_mode(h100: SimNode, workload: subprocess.Popen[bytes]) -> None:
    """The mode can be changed once the driver has let go of the process."""
    h100.linger(600_000)
    h100.hold(h100.gpus[0].uuid, workload.pid)
    h100.release(workload.pid)
    assert h100.set_mig_mode(0, False) == IN_USE
    h100.linger(0)
    assert h100.set_mig_mode(0, False) == 0


def test_processes_that_are_over_take_no_room_in_the_table(a100: SimNode, workload: subprocess.Popen[bytes]) -> None:
    """Any number of processes may come and go."""
    a100.create_foreign(0, "1g.10gb", 0)
    device = a100.gpus[0].instances[0].compute_instances[0].uuid
    for dies in (False, True):
        for _ in range(2 * layout.HOLDS):
            a100.hold(device, workload.pid)
            if dies:  # as if the pid had belonged to an earlier process, and nobody had looked yet
                a100._file.state.gpus[0].holds[0].started -= 1
            else:
                a100.release(workload.pid)
    a100.destroy(0, a100.gpus[0].instances[0].id)
