"""What a client discovers on each GPU model is what the table records, number by number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import simgpu
from simgpu import SimNode, UnknownGpuError
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import NOT_SUPPORTED, Nvml

TABLE: dict[str, Any] = json.loads((Path(simgpu.__file__).parent / "models.json").read_text())
RECORDED = [model for model in TABLE["models"] if model["layout"]]


def discovered(nvml: Nvml, device: Any) -> dict[int, dict[str, Any]]:
    """What the driver offers, by enum, the way an agent asks for it."""
    codes = {enum: nvml.code("nvmlDeviceGetGpuInstanceProfileInfo", device, enum) for enum in range(18)}
    assert set(codes.values()) <= {0, NOT_SUPPORTED}
    return {enum: nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, enum) for enum, code in codes.items() if code == 0}


@pytest.mark.parametrize("model", RECORDED, ids=lambda model: str(model["id"]))
def test_a_model_offers_exactly_the_recorded_profiles(model: dict[str, Any], tmp_path: Path, connect: Connect) -> None:
    """Enum, profile id, name, slices, bounds, memory and every placement; the profiles of no other model."""
    nvml = connect(SimNode.create(tmp_path, gpus=[model["id"]]))
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    found = discovered(nvml, device)
    assert set(found) == {p["nvml_enum_value"] for p in model["profiles"]}
    for expected in model["profiles"]:
        info = found[expected["nvml_enum_value"]]
        assert info["id"] == expected["profile_id"]
        assert info["name"] == f"MIG {expected['name']}"
        assert info["sliceCount"] == expected["slice_count"]
        assert info["instanceCount"] == expected["max_instances"]
        assert info["memorySizeMB"] == (expected["memory_mib"] or info["memorySizeMB"]) > 0
        assert info["multiprocessorCount"] == (expected.get("sm_nvidia_smi") or info["multiprocessorCount"]) > 0
        placements = [[p["start"], p["size"]] for p in expected["placements"]]
        assert nvml.placements(device, info["id"]) == placements
    assert nvml.nvmlDeviceGetName(device) == model["models"][0]
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(device) == TABLE["layouts"][model["layout"]]["compute_slices"]


def test_both_older_and_newer_structures_carry_the_same_profile(h100: SimNode, connect: Connect) -> None:
    """Version 1 has no version word, version 3 ends in capabilities: other bindings than pynvml read those."""
    nvml = connect(h100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    second = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, 2)
    first = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, 2, version=1)
    assert first == {key: second[key] for key in first}
    third = bytes.fromhex(nvml.raw("nvmlDeviceGetGpuInstanceProfileInfoV", device, 2, version=0x03000098))
    assert int.from_bytes(third[4:8], "little") == second["id"] == 9
    assert int.from_bytes(third[40:48], "little") == second["memorySizeMB"]
    assert third[48:144].rstrip(b"\0") == b"MIG 3g.40gb"
    assert nvml.fails(25, "raw", "nvmlDeviceGetGpuInstanceProfileInfoV", device, 2, version=0x04000098)


def test_a_model_whose_placements_nobody_published_is_refused(tmp_path: Path) -> None:
    """A guess would look like a fact; the message says what to do instead."""
    with pytest.raises(UnknownGpuError, match="choose another model"):
        SimNode.create(tmp_path, gpus=["NVIDIA RTX PRO 5000 Blackwell 48GB"])


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB"),
        ("nvidia a100 pcie 80gb", "NVIDIA A100-PCIE-80GB"),
        ("H100-SXM5-80GB", "NVIDIA H100 80GB HBM3"),
        ("h100-94gb-nvl", "NVIDIA H100 NVL"),
    ],
)
def test_models_are_found_by_id_product_or_alias(name: str, product: str) -> None:
    """Case, blanks and a leading NVIDIA make no difference."""
    assert simgpu.find(name)[1] == product


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownGpuError, match="known are a30-24gb, a100-40gb"):
        simgpu.find("a1000")
