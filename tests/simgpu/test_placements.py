"""Where instances go: the asked place, the driver's own order, the ids that follow from the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import (
    ID_1G,
    ID_1G_DOUBLE,
    ID_1G_ME,
    ID_2G,
    ID_3G,
    ID_4G,
    ID_7G,
    INSUFFICIENT_RESOURCES,
    INVALID_ARGUMENT,
    Nvml,
)


def info(nvml: Nvml, instance: Any) -> tuple[int, int, int]:
    """GI id, start and size, read back from the driver."""
    facts = nvml.nvmlGpuInstanceGetInfo(instance)
    return facts["id"], facts["placement"]["start"], facts["placement"]["size"]


def test_an_instance_lies_where_it_was_asked_for(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    for profile, start, size in [(ID_3G, 4, 4), (ID_2G, 2, 2), (ID_1G, 1, 1)]:
        assert info(nvml, nvml.create_at(device, profile, start, size))[1:] == (start, size)
    assert [(gi.profile, gi.start) for gi in a100.gpus[0].instances] == [("3g.40gb", 4), ("2g.20gb", 2), ("1g.10gb", 1)]


@pytest.mark.parametrize(("start", "size"), [(1, 2), (6, 2), (0, 1), (0, 4), (8, 2), (4294967295, 2)])
def test_a_place_that_the_profile_does_not_have_is_an_invalid_argument(
    start: int, size: int, a100: SimNode, connect: Connect
) -> None:
    nvml = connect(a100)
    assert nvml.fails(INVALID_ARGUMENT, "create_at", nvml.nvmlDeviceGetHandleByIndex(0), ID_2G, start, size)


def test_occupied_room_is_insufficient_resources(a100: SimNode, connect: Connect) -> None:
    """Not "already exists", neither for the same place nor for one that overlaps."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.create_at(device, ID_2G, 4, 2)
    for profile, start, size in [(ID_2G, 4, 2), (ID_3G, 4, 4), (ID_1G, 5, 1), (ID_1G_DOUBLE, 4, 2), (ID_7G, 0, 8)]:
        assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", device, profile, start, size)
    assert len(a100.gpus[0].instances) == 1


def test_an_unknown_profile_id_is_an_invalid_argument(a100: SimNode, connect: Connect) -> None:
    """2 is the enum of 3g, not an id: a client that confuses the two numbers learns it here."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.fails(INVALID_ARGUMENT, "nvmlDeviceCreateGpuInstance", device, 2)
    assert nvml.fails(INVALID_ARGUMENT, "placements", device, 2)


@pytest.mark.parametrize(
    ("model", "profiles", "starts"),
    [
        ("h100-80gb", [ID_1G] * 7, [6, 4, 5, 0, 1, 2, 3]),
        ("a100-80gb", [ID_3G] * 2, [4, 0]),
        ("a100-80gb", [ID_3G], [4]),
        ("h100-94gb-nvl", [ID_3G, ID_1G_DOUBLE, ID_1G], [0, 4, 6]),
        ("a30-24gb", [14, 14, 5], [0, 1, 2]),
    ],
)
def test_without_a_place_the_driver_follows_its_own_order(
    model: str, profiles: list[int], starts: list[int], tmp_path: Path, connect: Connect
) -> None:
    """The orders that were observed on hardware."""
    nvml = connect(SimNode.create(tmp_path, gpus=[model]))
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert [info(nvml, nvml.nvmlDeviceCreateGpuInstance(device, p))[1] for p in profiles] == starts


def test_the_drivers_own_order_makes_a_legal_layout_unreachable(h100: SimNode, connect: Connect) -> None:
    """3g + 2g + 2g fits on an H100 only when placed by hand."""
    nvml = connect(h100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.nvmlDeviceCreateGpuInstance(device, ID_3G)
    nvml.nvmlDeviceCreateGpuInstance(device, ID_2G)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "nvmlDeviceCreateGpuInstance", device, ID_2G)
    h100.reboot()
    for profile, start, size in [(ID_3G, 4, 4), (ID_2G, 0, 2), (ID_2G, 2, 2)]:
        nvml.create_at(device, profile, start, size)
    assert len(h100.gpus[0].instances) == 3


@pytest.mark.parametrize(
    ("model", "observed"),
    [
        ("h100-80gb", [(ID_1G, start, 1, 7 + start) for start in range(7)] + [(ID_7G, 0, 8, 0)]),
        ("h100-94gb-nvl", [(ID_3G, 0, 4, 1), (ID_1G_DOUBLE, 4, 2, 5), (ID_1G, 6, 1, 13)]),
        ("a100-80gb", [(ID_3G, 4, 4, 1), (ID_3G, 0, 4, 2), (ID_4G, 0, 4, 2), (ID_2G, 2, 2, 6)]),
        ("a100-80gb", [(ID_1G, 0, 1, 11), (ID_1G, 1, 1, 12), (ID_7G, 0, 8, 0)]),
        ("a30-24gb", [(5, 2, 2, 2), (14, 0, 1, 3), (14, 1, 1, 4)]),
        ("rtx-pro-6000-96gb", [(5, 0, 6, 1), (14, 6, 3, 5), (14, 9, 3, 6)]),
    ],
)
def test_the_id_follows_from_the_place_and_is_used_again(
    model: str, observed: list[tuple[int, int, int, int]], tmp_path: Path, connect: Connect
) -> None:
    """Each place has its id, 0 included, whichever family numbers it; a later instance there has the same id."""
    nvml = connect(SimNode.create(tmp_path, gpus=[model]))
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    for profile, start, size, gi_id in observed * 2:
        instance = nvml.create_at(device, profile, start, size)
        assert info(nvml, instance) == (gi_id, start, size)
        assert nvml.nvmlGpuInstanceGetInfo(nvml.nvmlDeviceGetGpuInstanceById(device, gi_id))["profileId"] == profile
        nvml.nvmlGpuInstanceDestroy(instance)


def test_only_one_instance_has_the_extra_media_engines(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.create_at(device, ID_1G_ME, 0, 1)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", device, ID_1G_ME, 1, 1)
    assert nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, ID_1G_ME) == 0
    nvml.create_at(device, ID_1G, 1, 1)


def test_profiles_with_extra_media_engines_exclude_each_other(tmp_path: Path, connect: Connect) -> None:
    """On an A30 1g+me and 2g+me, on an RTX PRO 6000 +me and +me.all: one holder a GPU, whichever profile it has."""
    node = SimNode.create(tmp_path, gpus=["a30-24gb", "rtx-pro-6000-96gb"])
    nvml = connect(node)
    a30, rtx = (nvml.nvmlDeviceGetHandleByIndex(i) for i in (0, 1))
    nvml.create_at(a30, 21, 0, 1)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", a30, 6, 2, 2)
    nvml.create_at(rtx, 64, 0, 6)
    assert nvml.fails(INSUFFICIENT_RESOURCES, "create_at", rtx, 21, 6, 3)
    nvml.create_at(rtx, 67, 6, 3)


def test_remaining_capacity_counts_the_free_places(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)

    def capacity() -> list[int]:
        ids = (ID_1G, ID_1G_DOUBLE, ID_2G, ID_3G, ID_4G, ID_7G)
        return [nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, p) for p in ids]

    assert capacity() == [7, 4, 3, 2, 1, 1]
    nvml.create_at(device, ID_1G, 3, 1)
    assert capacity() == [6, 3, 2, 1, 0, 0]
    nvml.create_at(device, ID_3G, 4, 4)
    assert capacity() == [3, 1, 1, 0, 0, 0]


def test_listing_is_by_profile(a100: SimNode, connect: Connect) -> None:
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    for profile, start, size in [(ID_1G, 0, 1), (ID_1G, 1, 1), (ID_3G, 4, 4)]:
        nvml.create_at(device, profile, start, size)
    assert sorted(info(nvml, gi)[1] for gi in nvml.gpu_instances(device, ID_1G)) == [0, 1]
    assert [info(nvml, gi)[1] for gi in nvml.gpu_instances(device, ID_3G)] == [4]
    assert nvml.gpu_instances(device, ID_2G) == []
