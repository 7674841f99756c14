"""Realistic latencies: as measured when asked for, none otherwise, and a GPU busy with one change holds up no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import simgpu
from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_7, ID_1G, ID_7G, INSUFFICIENT_RESOURCES


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    """Two H100 that take their time."""
    return SimNode.create(tmp_path / "slow", gpus=["h100-80gb", "h100-80gb"], latencies=True)


def test_the_latencies_are_the_measured_ones() -> None:
    """H100: 0.16, 0.21, 0.33, 0.38, 0.42 s to create GI and CI of 1, 2, 3, 4, 7 slices; 0.21 to 0.26 s to destroy."""
    profiles = {p.slices: p.latency for p in simgpu.find("h100-80gb")[0].profiles}
    create = {slices: each.create_gi + each.create_ci for slices, each in profiles.items()}
    destroy = [each.destroy_gi + each.destroy_ci for each in profiles.values()]
    assert create == {1: 160, 2: 210, 3: 330, 4: 380, 7: 420}
    assert (min(destroy), max(destroy)) == (210, 260)


def test_without_being_asked_nothing_takes_time(h100: SimNode, node: SimNode) -> None:
    def total(of: SimNode) -> int:
        profiles = of._file.state.gpus[0].profiles
        return sum(p.create_gi_ms + p.create_ci_ms + p.destroy_gi_ms + p.destroy_ci_ms for p in profiles)

    assert total(h100) == 0
    assert total(node) > 0


def asleep(node: SimNode) -> SimNode:
    """Let changes of GPU 0 take longer than any test."""
    for each in node._file.state.gpus[0].profiles:
        each.create_gi_ms = each.create_ci_ms = each.destroy_gi_ms = each.destroy_ci_ms = 600_000
    return node


def until(holds: Callable[[], bool]) -> None:
    """Wait for the effect of a call that has been sent; the test's own time-out ends it."""
    while not holds():
        time.sleep(0.001)


def test_each_change_takes_its_time(node: SimNode, connect: Connect) -> None:
    """Creating and destroying, GI and CI: four calls, each with its share."""
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    (latency,) = (each.latency for each in simgpu.find("h100-80gb")[0].profiles if each.slices == 7)

    def timed(least_ms: int, call: str, *arguments: Any) -> Any:
        began = time.monotonic()
        answer = getattr(nvml, call)(*arguments)
        assert time.monotonic() - began >= least_ms / 1000, call
        return answer

    instance = timed(latency.create_gi, "nvmlDeviceCreateGpuInstance", device, ID_7G)
    compute = timed(latency.create_ci, "nvmlGpuInstanceCreateComputeInstance", instance, CI_7)
    timed(latency.destroy_ci, "nvmlComputeInstanceDestroy", compute)
    timed(latency.destroy_gi, "nvmlGpuInstanceDestroy", instance)


@pytest.mark.parametrize("change", ["create GI", "create CI", "destroy CI", "destroy GI"])
def test_a_change_under_way_holds_up_neither_reads_nor_other_gpus(change: str, node: SimNode, connect: Connect) -> None:
    """Its effect can be seen, its answer is not there yet; meanwhile its GPU is read, and the other one is changed."""
    maker, reader = connect(asleep(node)), connect(node)
    device = maker.nvmlDeviceGetHandleByIndex(0)
    reader.nvmlDeviceGetHandleByIndex(0)
    if change != "create GI":
        node.create_foreign(0, "7g.80gb", 0, with_ci=change == "destroy CI")
        (instance,) = maker.gpu_instances(device, ID_7G)
    if change == "create GI":
        maker.send("nvmlDeviceCreateGpuInstance", device, ID_7G)
        until(lambda: len(node.gpus[0].instances) == 1)
    elif change == "create CI":
        maker.send("nvmlGpuInstanceCreateComputeInstance", instance, CI_7)
        until(lambda: len(node.gpus[0].instances[0].compute_instances) == 1)
    elif change == "destroy CI":
        (compute,) = maker.compute_instances(instance, CI_7)
        maker.send("nvmlComputeInstanceDestroy", compute)
        until(lambda: node.gpus[0].instances[0].compute_instances == ())
    else:
        maker.send("nvmlGpuInstanceDestroy", instance)
        until(lambda: node.gpus[0].instances == ())
    reader.nvmlDeviceGetMigMode({"handle": 0})
    node.destroy(1, node.create_foreign(1, "1g.10gb", 0))
    assert not maker.answered()


def test_a_refused_change_takes_no_time(node: SimNode, connect: Connect) -> None:
    """The driver sees at once that there is no room: no time is slept, or this test would not end."""
    nvml = connect(asleep(node))
    node.create_foreign(0, "7g.80gb", 0)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "nvmlDeviceCreateGpuInstance", nvml.nvmlDeviceGetHandleByIndex(0), ID_7G)


def test_changes_of_one_gpu_wait_for_each_other(node: SimNode, connect: Connect) -> None:
    """A second change has no effect before the first is through, though it was asked for meanwhile."""
    one, two = connect(asleep(node)), connect(node)
    for nvml in (one, two):
        nvml.nvmlDeviceGetHandleByIndex(0)
    one.send("nvmlDeviceCreateGpuInstance", {"handle": 0}, ID_1G)
    until(lambda: len(node.gpus[0].instances) == 1)
    two.send("nvmlDeviceCreateGpuInstance", {"handle": 0}, ID_1G)
    two.until_it_waits_for_a_lock()
    assert len(node.gpus[0].instances) == 1
    assert not one.answered()
    one.kill()  # or we would wait for it as long as the other does
    until(lambda: len(node.gpus[0].instances) == 2)
