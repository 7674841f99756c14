"""Realistic latencies: as measured when asked for, none otherwise, and a GPU busy with one change holds up no other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import simgpu
from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_7, ID_1G, ID_7G, Nvml

ROUNDS = 3  # of reading and changing elsewhere, some 0.5 ms each, while one change of some 100 ms is under way


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


def timed(node: SimNode, maker: Nvml, reader: Nvml, call: str, *arguments: Any) -> Any:
    """Make a change of GPU 0, and check that reads of it and changes of GPU 1 go through meanwhile."""
    node.reset_calls()
    maker.send(call, *arguments)
    while not any("Destroy" in name or "Create" in name for name in node.calls()):
        time.sleep(0.001)
    rounds = 0
    while not maker.answered():
        reader.nvmlDeviceGetMigMode({"handle": 0})
        node.destroy(1, node.create_foreign(1, "1g.10gb", 0))
        rounds += 1
    assert rounds >= ROUNDS, call
    return maker.receive()


def test_each_change_takes_its_time_and_holds_up_neither_reads_nor_other_gpus(node: SimNode, connect: Connect) -> None:
    """Creating and destroying, GI and CI: four calls, each with its share."""
    maker, reader = connect(node), connect(node)
    device = maker.nvmlDeviceGetHandleByIndex(0)
    reader.nvmlDeviceGetHandleByIndex(0)
    instance = timed(node, maker, reader, "nvmlDeviceCreateGpuInstance", device, ID_7G)
    compute = timed(node, maker, reader, "nvmlGpuInstanceCreateComputeInstance", instance, CI_7)
    timed(node, maker, reader, "nvmlComputeInstanceDestroy", compute)
    timed(node, maker, reader, "nvmlGpuInstanceDestroy", instance)


def test_a_refused_change_takes_no_time(node: SimNode, connect: Connect) -> None:
    """The driver sees at once that there is no room: no time is slept, hence none of it is queued behind."""
    nvml = connect(node)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    node.create_foreign(0, "7g.80gb", 0)
    refusals = 0
    other = connect(node)
    other.send("create_at", other.nvmlDeviceGetHandleByIndex(1), ID_7G, 0, 8)
    while not other.answered():
        refusals += nvml.fails(23, "nvmlDeviceCreateGpuInstance", device, ID_7G)
    assert refusals >= ROUNDS


def test_changes_of_one_gpu_wait_for_each_other(node: SimNode, connect: Connect) -> None:
    """A second change has no effect before the first is through, though it was asked for meanwhile."""
    one, two = connect(node), connect(node)
    device = {"handle": 0}
    for nvml in (one, two):
        nvml.nvmlDeviceGetHandleByIndex(0)
    one.send("nvmlDeviceCreateGpuInstance", device, ID_1G)
    while not node.gpus[0].instances:
        time.sleep(0.001)
    two.send("nvmlDeviceCreateGpuInstance", device, ID_1G)
    while node.calls()["nvmlDeviceCreateGpuInstance"] < 2:
        time.sleep(0.001)
    waiting = 0
    while not one.answered():
        waiting += len(node.gpus[0].instances) == 1
    assert waiting >= ROUNDS
    for nvml in (one, two):
        nvml.receive()
    assert len(node.gpus[0].instances) == 2
