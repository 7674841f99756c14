"""Faults that strike when the work is done: the driver did what was asked, and the caller hears that it did not.

So a time-out looks on hardware. Whoever believes the answer and not the hardware leaks an instance or loses one.
"""

from __future__ import annotations

import time

import pytest

from simgpu import SimGpuError, SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, ID_1G, INSUFFICIENT_RESOURCES

TIMEOUT = 10


def test_what_failed_after_the_work_was_done_is_there(a100: SimNode, connect: Connect) -> None:
    """GPU instance, compute instance, and both gone again: four calls that fail, four effects that are seen."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.inject(code=TIMEOUT, after=True)
    assert nvml.fails(TIMEOUT, "create_at", device, ID_1G, 3, 1)
    (instance,) = nvml.gpu_instances(device, ID_1G)
    assert nvml.fails(TIMEOUT, "nvmlGpuInstanceCreateComputeInstance", instance, CI_1)
    (compute,) = nvml.compute_instances(instance, CI_1)
    assert nvml.fails(TIMEOUT, "nvmlComputeInstanceDestroy", compute)
    assert nvml.compute_instances(instance, CI_1) == []
    assert nvml.fails(TIMEOUT, "nvmlGpuInstanceDestroy", instance)
    assert a100.gpus[0].instances == ()
    assert nvml.fails(TIMEOUT, "nvmlDeviceSetMigMode", device, 0)
    assert nvml.nvmlDeviceGetMigMode(device) == [1, 0]


def test_a_refused_call_is_no_work_that_was_done(a100: SimNode, connect: Connect) -> None:
    """The fault waits for a call that succeeds; the refusal is heard as it is."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.create_foreign(0, "1g.10gb", 0)
    a100.inject(function="nvmlDeviceCreateGpuInstance*", code=TIMEOUT, times=1, after=True)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", device, ID_1G, 0, 1)
    assert nvml.fails(TIMEOUT, "create_at", device, ID_1G, 1, 1)
    nvml.create_at(device, ID_1G, 2, 1)
    assert sorted(gi.start for gi in a100.gpus[0].instances) == [0, 1, 2]


def test_a_call_can_hang_with_its_work_done(a100: SimNode, connect: Connect) -> None:
    """N7: others see the instance while its maker still waits; the GPU is not held up by the one that hangs."""
    nvml, other = connect(a100), connect(a100)
    for client in (nvml, other):
        client.nvmlDeviceGetHandleByIndex(0)
    a100.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", block_ms=300_000, times=1, after=True)
    nvml.send("create_at", {"handle": 0}, ID_1G, 0, 1)
    while not a100.gpus[0].instances:
        time.sleep(0.001)
    other.create_at({"handle": 0}, ID_1G, 1, 1)
    assert not nvml.answered()
    a100.clear_faults()
    assert nvml.nvmlGpuInstanceGetInfo(nvml.receive())["placement"]["start"] == 0


def test_a_process_killed_with_its_work_done_leaves_the_instance(a100: SimNode, connect: Connect) -> None:
    """N1: the moment between the driver's effect and the caller's knowledge of it can be hit exactly."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", block_ms=300_000, after=True)
    nvml.send("create_at", device, ID_1G, 5, 1)
    while not a100.gpus[0].instances:
        time.sleep(0.001)
    nvml.kill()
    (instance,) = a100.gpus[0].instances
    assert (instance.start, instance.compute_instances) == (5, ())


def test_nothing_strikes_after_a_call_that_changes_nothing(a100: SimNode) -> None:
    with pytest.raises(SimGpuError, match="leave out `after`"):
        a100.inject(function="nvmlDeviceGetMigMode", code=TIMEOUT, after=True)
