"""The structures in which a profile is described: version 1 without a name, 2 with it, 3 with capabilities.

Clients of different age ask for different ones: old bindings 1, pynvml 2, newer Go programs 3. A version word is the
structure's size, with the version in the top byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, ID_3G, Nvml

VERSION_MISMATCH = 25
ENUM_3G = 2
SECOND, THIRD = 0x02000098, 0x03000098
CI_SECOND, CI_THIRD = 0x02000088, 0x0300008C
GFX, CI_GFX = 2, 1
NUMBERS = ("sliceCount", "instanceCount", "multiprocessorCount", "copyEngineCount", "decoderCount", "encoderCount")

# Both ways to ask for a GPU instance's profile: by enum, and by profile id.
ASKED = [
    ("nvmlDeviceGetGpuInstanceProfileInfoV", ENUM_3G),
    ("nvmlDeviceGetGpuInstanceProfileInfoByIdV", ID_3G),
]


def words(raw: str, first: int, count: int) -> list[int]:
    content = bytes.fromhex(raw)
    return [int.from_bytes(content[4 * i : 4 * i + 4], "little") for i in range(first, first + count)]


@pytest.fixture
def nvml(h100: SimNode, connect: Connect) -> Nvml:
    return connect(h100)


@pytest.fixture
def device(nvml: Nvml) -> Any:
    return nvml.nvmlDeviceGetHandleByIndex(0)


def test_version_1_carries_the_same_numbers_and_no_name(nvml: Nvml, device: Any) -> None:
    second = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, ENUM_3G)
    first = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, ENUM_3G, version=1)
    assert "name" not in first
    assert first == {key: second[key] for key in first}
    assert (first["id"], first["sliceCount"], first["memorySizeMB"]) == (ID_3G, 3, 40448)


def test_by_enum_and_by_id_a_profile_is_the_same(nvml: Nvml, device: Any) -> None:
    by_enum = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, ENUM_3G)
    assert nvml.nvmlDeviceGetGpuInstanceProfileInfoById(device, ID_3G) == by_enum
    assert by_enum["name"] == "MIG 3g.40gb"


@pytest.mark.parametrize(("function", "profile"), ASKED)
def test_version_3_has_capabilities_in_place_of_the_peer_flag(
    function: str, profile: int, nvml: Nvml, device: Any
) -> None:
    """Every number stands one word earlier than in version 2; name and capabilities follow the memory."""
    second = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, ENUM_3G)
    raw = nvml.raw(function, device, profile, version=THIRD)
    assert words(raw, 0, 2) == [THIRD, ID_3G]
    assert words(raw, 2, len(NUMBERS)) == [second[name] for name in NUMBERS]
    content = bytes.fromhex(raw)
    assert int.from_bytes(content[40:48], "little") == second["memorySizeMB"]
    assert content[48:144].rstrip(b"\0") == b"MIG 3g.40gb"
    assert words(raw, 36, 1) == [0]


@pytest.mark.parametrize("version", [0, 0x01000030, 0x04000098, SECOND + 1, 0x03000094])
@pytest.mark.parametrize(("function", "profile"), ASKED)
def test_any_other_version_word_is_refused_and_nothing_is_written(
    function: str, profile: int, version: int, nvml: Nvml, device: Any
) -> None:
    """Also version 1, which has no version word, and a right version with a wrong size."""
    assert nvml.fails(VERSION_MISMATCH, "raw", function, device, profile, version=version)


def test_version_3_tells_which_profiles_can_draw(tmp_path: Path, connect: Connect) -> None:
    """+gfx alone has the graphics capability, for the GPU instance and the compute instance in it."""
    nvml = connect(SimNode.create(tmp_path, gpus=["rtx-pro-6000-96gb"]))
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    for gi_enum, profile, graphics in [(0, 14, False), (10, 47, True)]:
        raw = nvml.raw("nvmlDeviceGetGpuInstanceProfileInfoV", device, gi_enum, version=THIRD)
        assert words(raw, 36, 1) == [GFX if graphics else 0]
        instance = nvml.nvmlDeviceCreateGpuInstance(device, profile)
        compute = "nvmlGpuInstanceGetComputeInstanceProfileInfoV"
        raw = nvml.raw(compute, instance, CI_1, 0, version=CI_THIRD)
        assert words(raw, 34, 1) == [CI_GFX if graphics else 0]


def test_compute_profiles_come_in_the_same_three_versions(nvml: Nvml, device: Any) -> None:
    """Version 2 and 3 hold the numbers of version 1 behind a version word, then the name."""
    instance = nvml.nvmlDeviceCreateGpuInstance(device, ID_3G)
    ask, plain = "nvmlGpuInstanceGetComputeInstanceProfileInfoV", "nvmlGpuInstanceGetComputeInstanceProfileInfo"
    first = words(nvml.raw(plain, instance, CI_1, 0), 0, 9)
    assert first[:3] == [CI_1, 1, 3]
    for version in (CI_SECOND, CI_THIRD):
        raw = nvml.raw(ask, instance, CI_1, 0, version=version)
        assert words(raw, 0, 10) == [version, *first]
        assert bytes.fromhex(raw)[40:136].rstrip(b"\0") == b"MIG 1c.3g.40gb"
    for version in (0, 0x01000024, 0x04000088, 0x03000088):
        assert nvml.fails(VERSION_MISMATCH, "raw", ask, instance, CI_1, 0, version=version)
