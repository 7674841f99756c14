"""What an admin does between two of our calls: a reading sees what is there, and nothing of his is destroyed (N3)."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from nodeagent.gpus.driver import NoSuchInstance, Refused
from simgpu import SimNode
from tests.support.driverprocess import DriverProcess
from tests.support.foreign import create_cut
from tests.support.instances import placed


def until_called(node: SimNode, function: str) -> None:
    """Until somebody is in a call that blocks."""
    deadline = time.monotonic() + 20
    while not node.calls().get(function):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def destroy_ci(node: SimNode, gi: int) -> None:
    """What an admin does with `nvidia-smi mig -dci`."""
    script = f"""
from pynvml import *
nvmlInit()
gi = nvmlDeviceGetGpuInstanceById(nvmlDeviceGetHandleByIndex(0), {gi})
nvmlComputeInstanceDestroy(nvmlGpuInstanceGetComputeInstanceById(gi, 0))
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **node.environment()}, check=True, timeout=30)


def test_an_instance_that_goes_while_all_are_listed_is_left_out(node: SimNode, driver: DriverProcess) -> None:
    """It was listed and is gone when it is asked what it is; the others are read as ever."""
    gpu = driver.gpu(0)
    mine = driver.create(gpu, placed("3g.40gb@4+4"))
    foreign = node.create_foreign(0, "1g.10gb", 0)
    node.reset_calls()
    node.inject(function="nvmlGpuInstanceGetInfo", times=1, block_ms=60_000)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(driver.instances, gpu)
        until_called(node, "nvmlGpuInstanceGetInfo")
        node.destroy(0, foreign)
        node.clear_faults()
        assert reading.result(timeout=20) == (mine,)


def test_a_compute_instance_that_goes_while_it_is_read_does_not_hide_its_gpu_instance(
    node: SimNode, driver: DriverProcess
) -> None:
    """The reading fails as a whole, so that it is made again, rather than say that the GPU instance is gone."""
    gpu = driver.gpu(0)
    mine = driver.create(gpu, placed("1g.10gb@0+1"))
    node.reset_calls()
    node.inject(function="nvmlComputeInstanceGetInfo_v2", times=1, block_ms=60_000)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(driver.instances, gpu)
        until_called(node, "nvmlComputeInstanceGetInfo_v2")
        destroy_ci(node, mine.gi)
        node.clear_faults()
        with pytest.raises(NoSuchInstance):
            reading.result(timeout=20)
    (half,) = driver.instances(gpu)
    assert (half.gi, half.half_made) == (mine.gi, True)


@pytest.mark.parametrize(("half", "replace"), [(True, SimNode.create_foreign), (True, create_cut), (False, create_cut)])
def test_compute_instances_that_are_not_ours_are_not_destroyed(
    node: SimNode, driver: DriverProcess, replace: Callable[[SimNode, int, str, int], int], *, half: bool
) -> None:
    """The GPU instance has the id, the place and the profile that we remember; what is in it came after our last reading.

    The driver gives the first compute instance in a place the same UUID each time, so a small one can have ours.
    """
    gpu = driver.gpu(0)
    node.create_foreign(0, "2g.20gb", 2, with_ci=not half)
    (mine,) = driver.instances(gpu)
    node.destroy(0, mine.gi)
    assert replace(node, 0, "2g.20gb", 2) == mine.gi
    before = node.gpus[0].instances
    with pytest.raises(Refused, match=r"holds MIG-.* now, which is not ours"):
        driver.destroy(gpu, mine)
    assert node.gpus[0].instances == before
    assert before[0].compute_instances


def test_an_instance_whose_compute_instance_went_is_destroyed(node: SimNode, driver: DriverProcess) -> None:
    """Nobody else put anything in it."""
    gpu = driver.gpu(0)
    mine = driver.create(gpu, placed("1g.10gb@0+1"))
    destroy_ci(node, mine.gi)
    driver.destroy(gpu, mine)
    assert driver.instances(gpu) == ()
