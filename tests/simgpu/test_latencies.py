"""Realistic latencies: as measured when asked for, none otherwise, and a GPU busy with one change holds up no other."""

from __future__ import annotations

import fcntl
from pathlib import Path

import simgpu
from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_7, ID_1G, ID_7G


def test_the_latencies_are_the_measured_ones() -> None:
    """H100: 0.16, 0.21, 0.33, 0.38, 0.42 s to create GI and CI of 1, 2, 3, 4, 7 slices; 0.21 to 0.26 s to destroy."""
    profiles = {p.slices: p.latency for p in simgpu.find("h100-80gb")[0].profiles}
    create = {slices: each.create_gi + each.create_ci for slices, each in profiles.items()}
    destroy = [each.destroy_gi + each.destroy_ci for each in profiles.values()]
    assert create == {1: 160, 2: 210, 3: 330, 4: 380, 7: 420}
    assert (min(destroy), max(destroy)) == (210, 260)


def reads_during_a_change(node: SimNode, connect: Connect) -> int:
    """While GPU 0 makes a 7g, read it and change GPU 1, again and again; return how often that went through."""
    maker, reader = connect(node), connect(node)
    first = reader.nvmlDeviceGetHandleByIndex(0)
    instance = maker.nvmlDeviceCreateGpuInstance(maker.nvmlDeviceGetHandleByIndex(0), ID_7G)
    maker.send("nvmlGpuInstanceCreateComputeInstance", instance, CI_7)
    while not node.gpus[0].instances[0].compute_instances:
        pass
    reads = 0
    while _busy(node):
        reader.nvmlDeviceGetMigMode(first)
        node.destroy(1, node.create_foreign(1, "1g.10gb", 0))
        reads += 1
    maker.receive()
    return reads


def test_a_change_takes_its_time_and_holds_up_neither_reads_nor_other_gpus(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(tmp_path, gpus=["h100-80gb", "h100-80gb"], latencies=True)
    assert reads_during_a_change(node, connect) > 10


def test_without_latencies_a_change_is_over_at_once(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(tmp_path, gpus=["h100-80gb", "h100-80gb"])
    assert reads_during_a_change(node, connect) <= 1


def _busy(node: SimNode) -> bool:
    """Whether a change is under way on GPU 0: then its long lock is taken."""
    with (node.directory / "gpu-0.busy").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_changes_of_one_gpu_wait_for_each_other(tmp_path: Path, connect: Connect) -> None:
    """A second change starts when the first is through: it ends later, though it was asked for at the same time."""
    node = SimNode.create(tmp_path, gpus=["h100-80gb"], latencies=True)
    one, two = connect(node), connect(node)
    for nvml in (one, two):
        nvml.nvmlDeviceGetHandleByIndex(0)
    one.send("nvmlDeviceCreateGpuInstance", {"handle": 0}, ID_1G)
    while not node.gpus[0].instances:
        pass
    two.send("nvmlDeviceCreateGpuInstance", {"handle": 0}, ID_1G)
    assert len(node.gpus[0].instances) == 1
    one.receive()
    two.receive()
    assert len(node.gpus[0].instances) == 2
