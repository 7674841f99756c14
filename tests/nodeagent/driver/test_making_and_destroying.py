"""Instances are made at exactly their place, filled by one CI, and destroyed only if they are the ones that were meant."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from mig.occupancy import maximal_layouts
from nodeagent.gpus.driver import DriverError, GpuUnavailable, InUse, NoRoom, Refused
from nodeagent.values import Instance
from simgpu import SimNode
from tests.support.driverprocess import DriverProcess
from tests.support.instances import placed
from tests.support.shapes import shapes

Start = Callable[[SimNode | None], DriverProcess]
UNKNOWN = 999


def test_every_maximal_layout_can_be_made_and_taken_away(node: SimNode, driver: DriverProcess) -> None:
    """Also those that the driver's own order cannot reach; GI ids, placements and UUIDs are read back from the hardware."""
    gpu = driver.gpu(1)
    for layout in sorted(map(sorted, maximal_layouts(shapes()["h100-80gb"])))[::7]:
        made = [driver.create(gpu, item) for item in layout]
        assert [item.placed for item in made] == layout
        assert driver.instances(gpu) == tuple(made)
        assert {ci.uuid for gi in node.gpus[1].instances for ci in gi.compute_instances} == {i.uuid for i in made}
        for item in made:
            driver.destroy(gpu, item)
        assert driver.instances(gpu) == ()


def test_occupied_room_is_told_apart_from_other_refusals(node: SimNode, driver: DriverProcess) -> None:
    """N3: the driver says INSUFFICIENT_RESOURCES; nothing is left of the attempt, and the foreign one stays."""
    node.create_foreign(0, "1g.10gb", 5)
    gpu = driver.gpu(0)
    with pytest.raises(NoRoom):
        driver.create(gpu, placed("3g.40gb@4+4"))
    with pytest.raises(Refused, match="offers no profile"):
        driver.create(gpu, placed("9g.99gb@0+1"))
    assert [item.placed for item in driver.instances(gpu)] == [placed("1g.10gb@5+1")]


def test_a_gi_whose_ci_fails_is_taken_back_in_the_same_step(node: SimNode, driver: DriverProcess) -> None:
    """No orphan stays; where even that fails, the half-made GI is seen by the next reading."""
    gpu = driver.gpu(0)
    node.inject(function="nvmlGpuInstanceCreateComputeInstance", code=UNKNOWN, times=1)
    with pytest.raises(Refused, match="CreateComputeInstance"):
        driver.create(gpu, placed("2g.20gb@2+2"))
    assert driver.instances(gpu) == ()
    node.inject(function="nvmlGpuInstanceCreateComputeInstance", code=UNKNOWN, times=1)
    node.inject(function="nvmlGpuInstanceDestroy", code=UNKNOWN, times=1)
    with pytest.raises(DriverError, match="could not be taken back"):
        driver.create(gpu, placed("2g.20gb@2+2"))
    (half,) = driver.instances(gpu)
    assert half.half_made
    whole = driver.complete(gpu, half)
    assert driver.instances(gpu) == (whole,)
    assert whole.uuid.startswith("MIG-")


def test_a_gi_that_somebody_cut_otherwise_is_not_whole(node: SimNode, driver: DriverProcess) -> None:
    """A one-slice CI in a three-slice GI: it occupies its room, is not half-made, and has no UUID to offer."""
    gpu = driver.gpu(0)
    node.create_foreign(0, "3g.40gb", 4, with_ci=False)
    (half,) = driver.instances(gpu)
    assert half.half_made
    script = f"""
from pynvml import *
nvmlInit()
gi = nvmlDeviceGetGpuInstanceById(nvmlDeviceGetHandleByIndex(0), {half.gi})
nvmlGpuInstanceCreateComputeInstance(gi, nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, 0, 0).id)
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **node.environment()}, check=True, timeout=30)
    (cut,) = driver.instances(gpu)
    assert (cut.placed, cut.half_made, cut.whole, cut.uuid) == (half.placed, False, False, "")


def test_destroying_is_safe_to_repeat_and_to_race(node: SimNode, driver: DriverProcess) -> None:
    """NOT_FOUND is success; an id that the driver gave to another instance meanwhile is left alone."""
    gpu = driver.gpu(0)
    mine = driver.create(gpu, placed("1g.10gb@0+1"))
    node.destroy(0, mine.gi)
    driver.destroy(gpu, mine)
    node.create_foreign(0, "1g.10gb+me", 0)
    (foreign,) = driver.instances(gpu)
    assert foreign.gi == mine.gi
    driver.destroy(gpu, mine)
    assert driver.instances(gpu) == (foreign,)


def test_a_slice_in_use_is_not_destroyed(node: SimNode, driver: DriverProcess) -> None:
    """N2: IN_USE, the instance whole as before; afterwards it goes."""
    gpu = driver.gpu(0)
    mine = driver.create(gpu, placed("1g.10gb@0+1"))
    other = driver.create(gpu, placed("1g.10gb@1+1"))
    node.hold(mine.uuid, os.getpid())
    assert driver.processes(gpu) == {mine.gi: (os.getpid(),)}
    with pytest.raises(InUse):
        driver.destroy(gpu, mine)
    assert driver.instances(gpu) == (mine, other)
    node.release(os.getpid())
    assert driver.processes(gpu) == {}
    driver.destroy(gpu, mine)
    assert driver.instances(gpu) == (other,)


def test_a_process_list_that_fails_is_not_an_empty_one(node: SimNode, driver: DriverProcess) -> None:
    """Invariant 6."""
    gpu = driver.gpu(0)
    node.inject(function="nvmlDeviceGetComputeRunningProcesses_v3", code=15, times=1)
    with pytest.raises(GpuUnavailable):
        driver.processes(gpu)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        ("nvmlDeviceCreateGpuInstanceWithPlacement", 0),
        ("nvmlGpuInstanceGetInfo", 1),
        ("nvmlGpuInstanceCreateComputeInstance", 1),
        ("nvmlComputeInstanceGetInfo_v2", 1),
    ],
)
def test_killed_between_two_calls_of_making(
    node: SimNode, driver: DriverProcess, start: Start, function: str, left: int
) -> None:
    """N1: whatever is left is seen as what it is by the next process, which can finish or undo it."""
    gpu = driver.gpu(0)
    node.reset_calls()
    node.inject(function=function, block_ms=60_000)
    driver.ask("create", gpu, placed("2g.20gb@2+2"))
    deadline = time.monotonic() + 10
    while not node.calls().get(function):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    driver.kill()
    node.clear_faults()
    successor = start(node)
    successor.start()
    here: tuple[Instance, ...] = successor.instances(successor.gpu(0))
    assert [item.placed for item in here] == [placed("2g.20gb@2+2")] * left
    for item in here:
        whole = successor.complete(gpu, item) if item.half_made else item
        successor.destroy(gpu, whole)
    assert successor.instances(gpu) == ()


def test_every_call_is_observed(driver: DriverProcess) -> None:
    """For the metrics: function, outcome, seconds."""
    driver.gpu(0)
    outcomes = {(function, outcome) for function, outcome, _ in driver.observed()}
    assert ("nvmlInit", "ok") in outcomes
    assert ("nvmlDeviceGetGpuInstanceProfileInfo", "Not Supported") in outcomes
    assert all(seconds >= 0 for *_, seconds in driver.observed())
