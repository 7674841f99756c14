"""Who holds a device, from the kubelet's checkpoint: a file of the kubelet's own, so nothing in it is taken for granted."""

import json
from pathlib import Path

import pytest

from nodeagent.inspection.sources import read_holdings
from nodeagent.inspection.values import Holding, Unread

ENTRIES = [
    {
        "PodUID": "uid-1",
        "ContainerName": "main",
        "ResourceName": "nvidia.com/mig-1g.10gb",
        "DeviceIDs": {"-1": ["MIG-one"]},
        "AllocResp": "CgA=",
    },
    {"PodUID": "uid-1", "ContainerName": "nic", "ResourceName": "example.com/nic", "DeviceIDs": {"0": ["nic-0"]}},
    {"PodUID": "uid-2", "ContainerName": "a", "ResourceName": "nvidia.com/mig-3g.40gb", "DeviceIDs": None},
]


def test_mig_devices_are_read_and_others_left_out(tmp_path: Path) -> None:
    """By Pod uid and container; a resource of others is none of our business."""
    path = tmp_path / "checkpoint"
    path.write_text(json.dumps({"Data": {"PodDeviceEntries": ENTRIES, "RegisteredDevices": {}}, "Checksum": 1}))
    assert read_holdings(path) == (Holding("uid-1", "main", "MIG-one"),)


def test_a_kubelet_that_has_handed_out_nothing_holds_nothing(tmp_path: Path) -> None:
    """It writes null for an empty list."""
    path = tmp_path / "checkpoint"
    path.write_text('{"Data": {"PodDeviceEntries": null, "RegisteredDevices": {}}, "Checksum": 1}')
    assert read_holdings(path) == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Data": []}', '{"Data": {"PodDeviceEntries": [1]}}', "\ud800"])
def test_a_file_of_another_form_is_unread(tmp_path: Path, text: str) -> None:
    """Never empty, and never a traceback."""
    path = tmp_path / "checkpoint"
    path.write_bytes(text.encode(errors="surrogatepass"))
    found = read_holdings(path)
    assert isinstance(found, Unread)
    assert "is not as kubelets have written it so far" in found.why


def test_a_missing_file_says_what_to_look_at(tmp_path: Path) -> None:
    """The folder is mounted from the node."""
    found = read_holdings(tmp_path / "nothing")
    assert isinstance(found, Unread)
    assert "No such file or directory; is the kubelet's folder mounted" in found.why
