"""What another version of the driver says of the same GPU: names and memory may differ, ids and places never do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import simgpu
from simgpu import SimGpuError, SimNode, catalogue, drivers
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import CI_1, ID_1G, Nvml


def offered(nvml: Nvml) -> dict[int, tuple[str, int]]:
    """Name and memory of each profile that the driver offers on the first GPU, by id."""
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    found = {}
    for enum in range(18):
        if nvml.code("nvmlDeviceGetGpuInstanceProfileInfo", device, enum) == 0:
            info = nvml.nvmlDeviceGetGpuInstanceProfileInfo(device, enum)
            found[info["id"]] = (info["name"].removeprefix("MIG "), info["memorySizeMB"])
    return found


@pytest.mark.parametrize(
    ("model", "driver", "names"),
    [
        ("gb200", "570.86.15", {19: ("1g.24gb", 20480), 9: ("3g.95gb", 95232), 0: ("7g.189gb", 190464)}),
        ("gb200", "580.95.05", {19: ("1g.23gb", 22528), 9: ("3g.93gb", 95232), 0: ("7g.186gb", 190464)}),
        ("gb300", "595.58.03", {19: ("1g.35gb", 35584), 9: ("3g.139gb", 142336), 0: ("7g.278gb", 284672)}),
        ("gb300", "610.10", {19: ("1g.31gb", 35584), 9: ("3g.126gb", 142336), 0: ("7g.251gb", 284672)}),
        ("a100-80gb", "545.23.08", {9: ("3g.39gb", 40192)}),
        ("a100-80gb", "550.54.14", {9: ("3g.40gb", 40192)}),
    ],
)
def test_a_driver_has_its_own_names_for_the_same_ids(
    model: str, driver: str, names: dict[int, Any], tmp_path: Path, connect: Connect
) -> None:
    """As transcripts of real machines show them."""
    found = offered(connect(SimNode.create(tmp_path, gpus=[model], driver_version=driver)))
    assert {profile: found[profile] for profile in names} == names


@pytest.mark.parametrize(
    ("model", "driver", "missing"),
    [
        ("a30-24gb", "460.91.03", {6, 21}),
        ("a30-24gb", "470.57.02", {6}),
        ("a30-24gb", "524.999", {6}),
        ("a30-24gb", "525", set[int]()),
        ("a30-24gb", "525.60.13", set[int]()),
        ("a100-40gb", "450.80.02", {15, 20}),
        ("a100-80gb", "515.43.04", {15}),
    ],
)
def test_an_old_driver_lacks_the_profiles_that_came_later(
    model: str, driver: str, missing: set[int], tmp_path: Path, connect: Connect
) -> None:
    everything = {profile.id for profile in simgpu.find(model)[0].profiles}
    found = offered(connect(SimNode.create(tmp_path, gpus=[model], driver_version=driver)))
    assert set(found) == everything - missing


def test_an_upgrade_renames_profiles_and_keeps_ids_and_places(tmp_path: Path, connect: Connect) -> None:
    """Instances are gone with the old driver; the same ids at the same places make instances with the new names."""
    node = SimNode.create(tmp_path, gpus=["gb200"], driver_version="570.86.15")
    before = connect(node)
    device = before.nvmlDeviceGetHandleByIndex(0)
    places = {profile: before.placements(device, profile) for profile in offered(before)}
    node.create_foreign(0, "1g.24gb", 3)
    gpu = node.gpus[0].uuid
    node.upgrade_driver("580.95.05")
    after = connect(node)
    device = after.nvmlDeviceGetHandleByIndex(0)
    assert after.nvmlSystemGetDriverVersion() == node.driver_version == "580.95.05"
    assert after.nvmlSystemGetNVMLVersion() == "13.580.95.05"
    assert {profile: after.placements(device, profile) for profile in offered(after)} == places
    assert node.gpus[0].instances == ()
    assert node.gpus[0].mig_mode
    assert after.nvmlDeviceGetUUID(device) == gpu
    compute = after.nvmlGpuInstanceCreateComputeInstance(after.create_at(device, ID_1G, 3, 1), CI_1)
    name = after.nvmlDeviceGetName(after.nvmlComputeInstanceGetInfo(compute)["device"])
    assert name.endswith("MIG 1g.23gb")
    assert (node.root / "proc/driver/nvidia/version").read_text().split()[-1] == "580.95.05"


def test_a_downgrade_takes_back_what_the_upgrade_brought(tmp_path: Path, connect: Connect) -> None:
    node = SimNode.create(tmp_path, gpus=["a30-24gb"])
    newest = offered(connect(node))
    node.upgrade_driver("470.57.02")
    assert set(newest) - set(offered(connect(node))) == {6}
    node.upgrade_driver("580.95.05")
    assert offered(connect(node)) == newest


def test_what_is_no_version_is_not_installed(tmp_path: Path) -> None:
    """Nothing is unloaded for a slip of the pen."""
    node = SimNode.create(tmp_path / "node", gpus=["a30-24gb"])
    gi = node.create_foreign(0, "1g.6gb", 0)
    for version in ("laod", "", "580.", "580.95.05-open"):
        with pytest.raises(SimGpuError, match="is no version of a driver"):
            node.upgrade_driver(version)
        with pytest.raises(SimGpuError, match="is no version of a driver"):
            SimNode.create(tmp_path / "none", driver_version=version)
    assert [each.id for each in node.gpus[0].instances] == [gi]
    assert not (tmp_path / "none").exists()


def test_only_names_memory_and_presence_ever_depend_on_the_version() -> None:
    """For every model and every border that the table names, on both sides of it."""
    spans = catalogue.tables()[1]["drivers"]
    assert set(spans) == {"a30-24gb", "a100-40gb", "a100-80gb", "gb200", "gb300"}
    for model in simgpu.models():
        full = {p.id: (p.gi_enum, p.slices, p.size, p.instances, p.placements, p.engines) for p in model.profiles}
        borders = {span[key] for span in spans.get(model.id, ()) for key in ("from", "before") if key in span}
        for version in {"450", "700", *borders, *(f"{int(border) - 1}.999" for border in borders)}:
            for p in drivers.under_driver(model, version).profiles:
                assert full[p.id] == (p.gi_enum, p.slices, p.size, p.instances, p.placements, p.engines)
