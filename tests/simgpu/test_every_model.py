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


def test_every_recorded_model_can_be_simulated() -> None:
    """15 models, on grids of 4, 8 and 12 memory slices."""
    simulated = {model.id: model for model in simgpu.models()}
    assert len(TABLE["models"]) == 15
    assert {model["id"] for model in TABLE["models"]} <= set(simulated)
    assert {simulated[model["id"]].grid_width for model in TABLE["models"]} == {4, 8, 12}


def test_a_model_whose_placements_nobody_published_says_that_they_are_assumed(tmp_path: Path, connect: Connect) -> None:
    """Names and counts are the recorded ones; where a slice lies is a guess, and marked as one. No other model has any."""
    assert [model.id for model in simgpu.models() if model.assumed] == ["rtx-pro-5000-48gb"]
    (recorded,) = (model for model in TABLE["models"] if not model["layout"])
    nvml = connect(SimNode.create(tmp_path, gpus=recorded["models"]))
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    found = {info["name"]: info for info in discovered(nvml, device).values()}
    expected = {f"MIG {p['name']}": (p["slice_count"], p["max_instances"]) for p in recorded["profiles"]}
    assert {name: (info["sliceCount"], info["instanceCount"]) for name, info in found.items()} == expected
    for info in found.values():
        for start, size in nvml.placements(device, info["id"]):
            nvml.nvmlGpuInstanceDestroy(nvml.create_at(device, info["id"], start, size))
            assert size == 3 * info["sliceCount"]
            assert start % size == 0


def test_gpus_with_grids_of_every_width_share_a_node(tmp_path: Path, connect: Connect) -> None:
    """4, 8 and 12 memory slices: each GPU takes its whole-GPU instance where the others have theirs."""
    node = SimNode.create(tmp_path, gpus=["a30-24gb", "h200-141gb", "rtx-pro-6000-96gb", "rtx-pro-5000-48gb"])
    nvml = connect(node)
    for index in range(4):
        nvml.nvmlDeviceCreateGpuInstance(nvml.nvmlDeviceGetHandleByIndex(index), 0)
    widths = [(gpu.grid_width, gpu.instances[0].size, gpu.instances[0].profile) for gpu in node.gpus]
    assert widths == [(4, 4, "4g.24gb"), (8, 8, "7g.141gb"), (12, 12, "4g.96gb"), (12, 12, "4g.48gb")]


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
