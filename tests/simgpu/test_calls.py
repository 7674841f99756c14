"""Call counters: proof that something touched the hardware, or did not."""

from __future__ import annotations

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import ID_1G, UNINITIALIZED, Nvml


def test_every_call_of_every_process_is_counted_by_function(a100: SimNode, connect: Connect) -> None:
    one, two = connect(a100), connect(a100)
    a100.reset_calls()
    for nvml in (one, two):
        device = nvml.nvmlDeviceGetHandleByIndex(0)
        nvml.nvmlDeviceGetMigMode(device)
    one.nvmlDeviceGetMigMode(device)
    assert a100.calls() == {"nvmlDeviceGetHandleByIndex_v2": 2, "nvmlDeviceGetMigMode": 3}


def test_refused_calls_count_too(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.create_at(device, ID_1G, 0, 1)
    a100.reset_calls()
    nvml.fails(23, "create_at", device, ID_1G, 0, 1)
    assert a100.calls() == {"nvmlDeviceCreateGpuInstanceWithPlacement": 1}


def test_looking_and_acting_from_python_are_no_calls(a100: SimNode) -> None:
    """What a test or a picture does leaves the counters alone."""
    a100.reset_calls()
    gi = a100.create_foreign(0, "2g.20gb", 2)
    assert [each.id for each in a100.gpus[0].instances] == [gi]
    a100.destroy(0, gi)
    assert a100.calls() == {}


def test_before_initialisation_everything_is_refused(a100: SimNode) -> None:
    nvml = Nvml(a100.environment(), initialise=False)
    try:
        assert nvml.fails(UNINITIALIZED, "raw", "nvmlDeviceGetCount_v2", None)
        nvml.nvmlInit()
        nvml.nvmlInit()
        nvml.nvmlShutdown()
        assert nvml.nvmlDeviceGetCount() == 1
        nvml.nvmlShutdown()
        assert nvml.fails(UNINITIALIZED, "nvmlDeviceGetCount")
    finally:
        nvml.close()
