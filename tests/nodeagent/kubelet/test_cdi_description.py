"""What a CDI description of our slices says, held against the specification's rules."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from nodeagent.kubelet import cdi
from nodeagent.kubelet.devicenodes import Access, DeviceNode
from tests.support.cdi_rules import violations
from tests.support.nvidia_cdi import DESCRIPTION
from tests.support.slices import uuid

ROOT = Path("/")
NODES = (DeviceNode("nvidiactl", (195, 255)), DeviceNode("nvidia-caps/nvidia-cap66"))


def _description(*numbers: int, common: cdi.Common = cdi.NOTHING, root: Path = ROOT) -> dict[str, Any]:
    entries = [cdi.entry(uuid(number), Access(0, number, 0), NODES, device_root=root) for number in numbers]
    text: dict[str, Any] = json.loads(json.dumps(cdi.description(entries, common)))
    return text


def _nvidia() -> cdi.Common:
    common = cdi.taken_over(DESCRIPTION)
    assert common is not None
    return common


@pytest.mark.parametrize("root", [ROOT, Path("/run/nvidia/driver")], ids=str)
@pytest.mark.parametrize("common", [cdi.NOTHING, _nvidia()], ids=["alone", "with NVIDIA's"])
def test_a_description_keeps_the_specifications_rules(common: cdi.Common, root: Path) -> None:
    """Otherwise a runtime would refuse all slices of the node at once."""
    assert violations(DESCRIPTION) == []
    assert violations(_description(1, 2, 7, common=common, root=root)) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("cdiVersion", "0.5.0"),
        ("cdiVersion", "9.9.9"),
        ("kind", "nos.nebuly.com"),
        ("devices", []),
        ("device", "x"),
    ],
)
def test_the_rules_find_what_a_runtime_would_refuse(where: str, value: object) -> None:
    """The checks above can fail."""
    assert violations(_description(1) | {where: value})


def test_a_name_stands_for_the_nodes_of_its_slice_and_hides_the_variable() -> None:
    """Invariant 8: `void` keeps NVIDIA's runtime from adding what a user wrote into the variable."""
    described = _description(7, root=Path("/run/nvidia/driver"))
    [device] = described["devices"]
    assert f"{described['kind']}={device['name']}" == cdi.device_name(uuid(7)) == f"nos.nebuly.com/mig={uuid(7)}"
    assert device["containerEdits"] == {
        "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "deviceNodes": [
            {
                "path": "/dev/nvidiactl",
                "hostPath": "/run/nvidia/driver/dev/nvidiactl",
                "type": "c",
                "major": 195,
                "minor": 255,
                "permissions": "rw",
            },
            {
                "path": "/dev/nvidia-caps/nvidia-cap66",
                "hostPath": "/run/nvidia/driver/dev/nvidia-caps/nvidia-cap66",
                "permissions": "rw",
            },
        ],
    }


def test_nvidias_description_gives_libraries_and_hooks_but_no_gpu() -> None:
    """Nothing of another GPU, of another slice, or that brings the variable back."""
    edits = _description(1, common=_nvidia())["containerEdits"]
    theirs = DESCRIPTION["containerEdits"]
    assert [each["path"] for each in edits["deviceNodes"]] == ["/dev/nvidia-modeset", "/dev/nvidiactl"]
    assert edits["env"] == ["NVIDIA_CTK_LIBCUDA_DIR=/usr/lib/x86_64-linux-gnu"]
    assert {name: edits[name] for name in ("hooks", "mounts", "additionalGids")} == {
        name: theirs[name] for name in ("hooks", "mounts", "additionalGids")
    }


def test_a_description_says_the_newer_release_of_the_two() -> None:
    """Fields that are taken over may be newer than those that we write."""
    assert _description(1)["cdiVersion"] == "0.6.0"
    assert _description(1, common=_nvidia())["cdiVersion"] == "0.7.0"
    older = cdi.taken_over(DESCRIPTION | {"cdiVersion": "v0.5.0"})
    assert older is not None
    assert _description(1, common=older)["cdiVersion"] == "0.6.0"


@pytest.mark.parametrize(
    "file",
    [
        None,
        [],
        "nvidia.com/gpu",
        {"kind": "nvidia.com/gpu"},
        {"kind": "nvidia.com/gpu", "containerEdits": []},
        copy.deepcopy(DESCRIPTION) | {"kind": "management.nvidia.com/gpu"},
    ],
    ids=["none", "list", "text", "no edits", "strange edits", "another kind"],
)
def test_what_is_not_nvidias_description_of_gpus_is_not_taken_over(file: object) -> None:
    """The management kind opens every GPU."""
    assert cdi.taken_over(file) is None


def test_odd_parts_of_nvidias_description_harm_nobody() -> None:
    """Missing or empty lists, entries of another form."""
    common = cdi.taken_over({"kind": "nvidia.com/gpu", "containerEdits": {"deviceNodes": ["x"], "env": None}})
    assert common is not None
    assert violations(_description(1, common=common)) == []


def test_our_own_entries_are_read_back() -> None:
    """What an agent wrote its successor knows; another's file, or a torn one, is no entry of ours."""
    described = _description(1, 2)
    assert cdi.entries_of(described) == {each["name"]: each for each in described["devices"]}
    assert cdi.entries_of(DESCRIPTION) == {}
    assert cdi.entries_of({"kind": cdi.KIND, "devices": [1, {"name": 2}, {"name": "x"}]}) == {}
