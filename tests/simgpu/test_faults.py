"""Injected faults: any call of any process can be made to fail or to block."""

from __future__ import annotations

import threading
import time

import pytest

from simgpu import SimGpuError, SimNode, layout
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import GPU_IS_LOST, ID_1G, INSUFFICIENT_RESOURCES, Nvml

NO_PERMISSION = 4


def test_a_fault_hits_as_many_calls_as_it_says_and_they_have_no_effect(a100: SimNode, connect: Connect) -> None:
    """N3: the driver says no, then yes; nothing was made meanwhile."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.inject(function="nvmlDeviceCreateGpuInstance", code=INSUFFICIENT_RESOURCES, times=2)
    for _ in range(2):
        assert nvml.fails(INSUFFICIENT_RESOURCES, "nvmlDeviceCreateGpuInstance", device, ID_1G)
    assert a100.gpus[0].instances == ()
    nvml.nvmlDeviceCreateGpuInstance(device, ID_1G)
    assert len(a100.gpus[0].instances) == 1


def test_a_fault_of_one_gpu_spares_the_others(tmp_path_factory: pytest.TempPathFactory, connect: Connect) -> None:
    """N5: one GPU is lost for every call, until the fault is cleared."""
    node = SimNode.create(tmp_path_factory.mktemp("node"), gpus=["a100-80gb"] * 2)
    nvml = connect(node)
    lost, healthy = (nvml.nvmlDeviceGetHandleByIndex(index) for index in (0, 1))
    node.inject(gpu=0, code=GPU_IS_LOST)
    assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetMigMode", lost)
    assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetName", lost)
    assert nvml.nvmlDeviceGetMigMode(healthy) == [1, 1]
    node.clear_faults()
    assert nvml.nvmlDeviceGetMigMode(lost) == [1, 1]


def test_a_driver_that_cannot_be_initialised_can_be_later(a100: SimNode) -> None:
    """N4: no permission, then permission."""
    a100.inject(function="nvmlInitWithFlags", code=NO_PERMISSION, times=1)
    nvml = Nvml(a100.environment(), initialise=False)
    try:
        assert nvml.fails(NO_PERMISSION, "nvmlInit")
        nvml.nvmlInit()
        assert nvml.nvmlDeviceGetCount() == 1
    finally:
        nvml.close()


def test_a_blocked_call_blocks_alone_and_goes_on_when_the_fault_is_cleared(a100: SimNode, connect: Connect) -> None:
    """N7: a call hangs for minutes; other processes go on, and clearing the fault releases it."""
    stuck, free = connect(a100), connect(a100)
    for nvml in (stuck, free):
        nvml.nvmlDeviceGetHandleByIndex(0)
    a100.inject(function="nvmlDeviceGetMigMode", times=1, block_ms=300_000)
    a100.reset_calls()
    stuck.send("nvmlDeviceGetMigMode", {"handle": 0})
    while not a100.calls().get("nvmlDeviceGetMigMode"):
        time.sleep(0.001)
    answered = threading.Event()
    answers: list[object] = []

    def wait() -> None:
        answers.append(stuck.receive())
        answered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert free.nvmlDeviceGetMigMode({"handle": 0}) == [1, 1]
    assert not answered.wait(timeout=0.2)
    a100.clear_faults()
    thread.join()
    assert answers == [[1, 1]]


def test_a_blocked_call_goes_on_though_another_fault_takes_the_place_of_its_own(
    a100: SimNode, connect: Connect
) -> None:
    """Clearing and injecting follow each other faster than a blocked call looks."""
    nvml = connect(a100)
    a100.inject(function="nvmlDeviceGetCount_v2", times=1, block_ms=300_000)
    a100.reset_calls()
    nvml.send("nvmlDeviceGetCount")
    while not a100.calls():
        time.sleep(0.001)
    while a100.faults:  # taken: the call sleeps on it
        time.sleep(0.001)
    a100.clear_faults()
    a100.inject(function="nvmlShutdown", block_ms=300_000)
    assert nvml.receive() == 1


def test_a_fault_for_no_known_function_is_refused(a100: SimNode) -> None:
    with pytest.raises(SimGpuError, match="no function 'nvmlDoWhatIMean'"):
        a100.inject(function="nvmlDoWhatIMean", code=1)


def test_the_table_of_faults_says_when_it_is_full(a100: SimNode) -> None:
    """And takes nothing of a text that does not fit as a whole."""
    for _ in range(layout.FAULTS - 1):
        a100.inject(function="nvmlShutdown", code=1)
    with pytest.raises(SimGpuError, match="clear some"):
        a100.inject_text("nvmlInit:code=1;nvmlInit:code=2")
    assert len(a100.faults) == layout.FAULTS - 1
    a100.inject_text("nvmlInit:code=1")
    with pytest.raises(SimGpuError, match="clear some"):
        a100.inject(function="nvmlShutdown", code=1)


def test_a_fault_that_is_used_up_makes_room_for_another(a100: SimNode, connect: Connect) -> None:
    """A long test may inject one after the other for ever."""
    nvml = connect(a100)
    for _ in range(2 * layout.FAULTS):
        a100.inject(function="nvmlDeviceGetCount_v2", code=GPU_IS_LOST, times=1)
        assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetCount")
    assert nvml.nvmlDeviceGetCount() == 1


def test_a_star_means_all_functions_that_match(a100: SimNode, connect: Connect) -> None:
    """The times are those of the fault, not of each function."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.inject(function="nvmlDeviceCreateGpuInstance*", code=INSUFFICIENT_RESOURCES, times=2)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", device, ID_1G, 0, 1)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "nvmlDeviceCreateGpuInstance", device, ID_1G)
    nvml.create_at(device, ID_1G, 0, 1)
    assert [gi.start for gi in a100.gpus[0].instances] == [0]


def test_the_faults_that_still_strike_are_listed_in_their_order(a100: SimNode, connect: Connect) -> None:
    """A fault that has struck as often as it should is gone from the list."""
    nvml = connect(a100)
    a100.inject(function="nvmlDeviceGetCount_v2", code=GPU_IS_LOST, times=1)
    a100.inject(gpu=0, block_ms=5)
    a100.inject(function="nvmlGpuInstanceDestroy", code=GPU_IS_LOST, times=3, after=True)
    texts = ["nvmlDeviceGetCount_v2:code=15:times=1", "*:gpu=0:block=5", "nvmlGpuInstanceDestroy:code=15:times=3:after"]
    assert [str(fault) for fault in a100.faults] == texts
    assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetCount")
    assert [str(fault) for fault in a100.faults] == texts[1:]
    a100.clear_faults()
    assert a100.faults == ()
