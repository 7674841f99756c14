"""All processes of a node see one hardware, and none can leave it broken by dying."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

from simgpu import SimNode
from simgpu.state import StateFile
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, CI_2, CI_3, ID_1G, ID_2G, ID_3G, INSUFFICIENT_RESOURCES, Nvml, NvmlError

KILLS = 12
SEED = 20260101
CI_OF = {ID_1G: CI_1, ID_2G: CI_2, ID_3G: CI_3}


def test_what_one_process_makes_another_sees_and_destroys(a100: SimNode, connect: Connect) -> None:
    one, two = connect(a100), connect(a100)
    instance = one.nvmlDeviceCreateGpuInstance(one.nvmlDeviceGetHandleByIndex(0), ID_1G)
    one.nvmlGpuInstanceCreateComputeInstance(instance, CI_1)
    (seen,) = two.gpu_instances(two.nvmlDeviceGetHandleByIndex(0), ID_1G)
    assert two.nvmlGpuInstanceGetInfo(seen)["id"] == one.nvmlGpuInstanceGetInfo(instance)["id"]
    (compute,) = two.compute_instances(seen, CI_1)
    two.nvmlComputeInstanceDestroy(compute)
    two.nvmlGpuInstanceDestroy(seen)
    assert one.gpu_instances(one.nvmlDeviceGetHandleByIndex(0), ID_1G) == []


def test_instances_outlive_the_process_that_made_them(a100: SimNode, connect: Connect) -> None:
    maker = connect(a100)
    maker.nvmlDeviceCreateGpuInstance(maker.nvmlDeviceGetHandleByIndex(0), ID_3G)
    maker.kill()
    assert [gi.profile for gi in SimNode.open(a100.directory).gpus[0].instances] == ["3g.40gb"]
    successor = connect(a100)
    (instance,) = successor.gpu_instances(successor.nvmlDeviceGetHandleByIndex(0), ID_3G)
    successor.nvmlGpuInstanceDestroy(instance)


def test_nodes_do_not_see_each_other(tmp_path: Path, connect: Connect) -> None:
    nodes = [SimNode.create(tmp_path / name) for name in ("one", "two")]
    nodes[0].create_foreign(0, "7g.80gb", 0)
    nvml = connect(nodes[1])
    assert nvml.gpu_instances(nvml.nvmlDeviceGetHandleByIndex(0), 0) == []
    assert nodes[0].gpus[0].uuid != nodes[1].gpus[0].uuid


def check(node: SimNode) -> None:
    """No two instances overlap, and every one lies where its profile may."""
    places = sorted((gi.start, gi.start + gi.size) for gi in node.gpus[0].instances)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    assert all(end <= 8 for _, end in places)


def test_a_process_killed_in_mid_change_leaves_a_whole_state(a100: SimNode, connect: Connect) -> None:
    """N1: SIGKILL at any instruction of a change: no torn instance, no lock left behind, the next process goes on."""
    rng = random.Random(SEED)
    survivor = connect(a100)
    device = survivor.nvmlDeviceGetHandleByIndex(0)
    for _ in range(KILLS):
        victim = connect(a100)
        a100.reset_calls()
        victim.send("churn", victim.nvmlDeviceGetHandleByIndex(0), rng.randrange(1000))
        while len(a100.calls()) < 5:  # it is in the middle of its changes
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.004))
        victim.kill()
        check(a100)
        for profile in (ID_1G, ID_2G, ID_3G):
            for instance in survivor.gpu_instances(device, profile):
                for compute in survivor.compute_instances(instance, CI_OF[profile]):
                    survivor.nvmlComputeInstanceDestroy(compute)
                survivor.nvmlGpuInstanceDestroy(instance)
        assert a100.gpus[0].instances == ()


@pytest.mark.parametrize(
    ("call", "arguments"),
    [("nvmlDeviceGetMigMode", ()), ("create_at", (ID_1G, 0, 1)), ("nvmlDeviceSetMigMode", (1,))],
)
def test_nobody_reads_or_changes_a_gpu_while_another_has_it(
    call: str, arguments: tuple[int, ...], a100: SimNode, connect: Connect
) -> None:
    """Whoever holds the GPU's lock, from whatever process and language, is alone with it."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    with StateFile(a100.directory).locked(0):
        nvml.send(call, device, *arguments)
        nvml.until_it_waits_for_a_lock()
        assert not nvml.answered()
        assert not a100._file.state.gpus[0].serial
    nvml.receive()


def test_two_processes_that_race_for_room_never_overlap(a100: SimNode, connect: Connect) -> None:
    """Exactly one gets each place; the other hears that the room is taken."""
    one, two = connect(a100), connect(a100)
    for nvml in (one, two):
        nvml.nvmlDeviceGetHandleByIndex(0)
    for start in range(7):
        for nvml in (one, two):
            nvml.send("create_at", {"handle": 0}, ID_1G, start, 1)
    codes = [answer_code(nvml) for nvml in (one, two) for _ in range(7)]
    assert sorted(codes) == [0] * 7 + [INSUFFICIENT_RESOURCES] * 7
    assert len(a100.gpus[0].instances) == 7


def answer_code(nvml: Nvml) -> int:
    try:
        nvml.receive()
    except NvmlError as error:
        return error.code
    return 0


def test_threads_of_one_process_exclude_each_other_too(a100: SimNode, connect: Connect) -> None:
    """Three threads ask for each place at the same moment; each place is given away once."""
    nvml = connect(a100)
    codes = nvml.in_threads(nvml.nvmlDeviceGetHandleByIndex(0), ID_1G, [*range(7)] * 3)
    assert sorted(codes) == [0] * 7 + [INSUFFICIENT_RESOURCES] * 14
    assert [gi.start for gi in sorted(a100.gpus[0].instances, key=lambda gi: gi.start)] == [*range(7)]
