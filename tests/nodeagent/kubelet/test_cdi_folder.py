"""The file that a container runtime reads: true before a slice is offered, and until it was dropped."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mig.profiles import parse_profile
from nodeagent.kubelet.cdi import FILE_NAME, PLACE
from nodeagent.kubelet.cdifolder import CdiFolder
from nodeagent.kubelet.devicenodes import Access
from nodeagent.kubelet.offers import Device
from simgpu import SimNode
from tests.support.cdi_rules import violations
from tests.support.handing import by_name
from tests.support.nvidia_cdi import DESCRIPTION
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return SimNode.create(tmp_path / "sim").root


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "cdi"
    made.mkdir()
    yield made
    made.chmod(0o700)


@pytest.fixture
def ours(root: Path, folder: Path) -> CdiFolder:
    return by_name(root, folder)


def slice_at(number: int, *, gi: int | None = None) -> Device:
    """Number and GPU instance are the same unless said otherwise."""
    return device(number, SMALL, access=Access(0, number if gi is None else gi, 0))


def read(folder: Path) -> dict[str, Any]:
    """What a runtime would see; whole, and by the rules."""
    text: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    assert violations(text) == []
    return text


def names(folder: Path) -> list[str]:
    return [each["name"] for each in read(folder)["devices"]]


def test_a_prepared_slice_is_in_the_file_and_a_forgotten_one_is_not(ours: CdiFolder, folder: Path) -> None:
    """With nothing left there is no file: a description without devices is refused by runtimes."""
    assert ours.prepare(slice_at(1))
    assert ours.prepare(slice_at(2))
    assert names(folder) == [uuid(1), uuid(2)]
    ours.forget(uuid(1))
    assert names(folder) == [uuid(2)]
    ours.forget(uuid(2))
    ours.forget(uuid(2))
    assert list(folder.iterdir()) == []


def test_a_slices_nodes_are_those_of_its_own_place(ours: CdiFolder, folder: Path) -> None:
    """Two slices of a GPU have the GPU's node in common, and no capability."""
    assert ours.prepare(slice_at(1))
    assert ours.prepare(slice_at(2))
    nodes = [{node["path"] for node in each["containerEdits"]["deviceNodes"]} for each in read(folder)["devices"]]
    assert nodes[0] & nodes[1] == {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia0"}
    assert [sum("nvidia-cap" in path for path in each) for each in nodes] == [2, 2]


@pytest.mark.parametrize("harm", ["deleted", "emptied", "replaced"])
def test_a_file_that_somebody_harmed_is_put_right(ours: CdiFolder, folder: Path, harm: str) -> None:
    """At the next reading of the GPU, the next Allocate, the next start of a container: each prepares the slice again."""
    assert ours.prepare(slice_at(1))
    path = folder / FILE_NAME
    match harm:
        case "deleted":
            path.unlink()
        case "emptied":
            path.write_text("", encoding="utf-8")
        case "replaced":
            (folder / "other").write_text(json.dumps(DESCRIPTION), encoding="utf-8")
            (folder / "other").rename(path)
    assert ours.answer([slice_at(1)]).cdi_devices[0].name == f"nos.nebuly.com/mig={uuid(1)}"
    assert names(folder) == [uuid(1)]


def test_a_file_that_is_right_is_not_written_again(ours: CdiFolder, folder: Path) -> None:
    """Runtimes read the folder anew at each change."""
    ours.prepare(slice_at(1))
    before = (folder / FILE_NAME).stat()
    for _ in range(3):
        ours.prepare(slice_at(1))
        ours.answer([slice_at(1)])
    assert (folder / FILE_NAME).stat() == before


def test_readers_see_a_whole_file_always(ours: CdiFolder, folder: Path) -> None:
    """It is replaced, never rewritten: whoever has it open reads the older one to its end."""
    ours.prepare(slice_at(1))
    with (folder / FILE_NAME).open(encoding="utf-8") as reader:
        begun = reader.read(10)
        ours.prepare(slice_at(2))
        assert [each["name"] for each in json.loads(begun + reader.read())["devices"]] == [uuid(1)]
    assert names(folder) == [uuid(1), uuid(2)]


def test_entries_of_an_agent_before_us_stay(root: Path, folder: Path) -> None:
    """Containers can start again before this agent has read that GPU."""
    before = by_name(root, folder)
    for number in (1, 2):
        before.prepare(slice_at(number))
    after = by_name(root, folder)
    after.prepare(slice_at(2))
    assert names(folder) == [uuid(1), uuid(2)]
    after.forget(uuid(1))
    assert names(folder) == [uuid(2)]


def test_an_entry_goes_when_its_place_has_another_slice(root: Path, folder: Path) -> None:
    """The nodes that it names are the other's now."""
    by_name(root, folder).prepare(slice_at(1))
    after = by_name(root, folder)
    after.prepare(slice_at(9, gi=1))
    [left] = read(folder)["devices"]
    assert (left["name"], left["annotations"]) == (uuid(9), {PLACE: "gpu0/gi1/ci0"})


def damaged(**changes: object) -> str:
    """A description of ours with one entry, of which somebody changed something."""
    entry = {"name": uuid(3), "annotations": {PLACE: "gpu0/gi3/ci0"}, "containerEdits": {"env": ["A=b"]}}
    return json.dumps({"kind": "nos.nebuly.com/mig", "devices": [entry | changes]})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"kind": "nos.nebuly.com/mig", "devices": [{}]}', "\x00"),
        *('{"kind": "nos.nebuly.com/mig", "devices": 5}', '{"kind": "nos.nebuly.com/mig", "devices": {"a": 1}}'),
        *(damaged(annotations=None), damaged(annotations=[1]), damaged(annotations={PLACE: 5})),
        *(damaged(name=5), damaged(name=""), damaged(containerEdits=None)),
        *("a: &a [*a]", "? 2020-01-01\n: x", "[" * 5000),
    ],
)
def test_a_torn_file_of_an_agent_before_us_is_replaced(root: Path, folder: Path, text: str) -> None:
    """Whatever somebody made of it: what is not an entry of ours is none."""
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    assert by_name(root, folder).prepare(slice_at(1))
    assert names(folder) == [uuid(1)]


def test_a_folder_that_cannot_be_written_is_told_and_the_slice_waits(root: Path, tmp_path: Path) -> None:
    """N12, for this folder; with what to do. When it is there, all is well again."""
    folder = tmp_path / "later"
    ours = by_name(root, folder)
    assert not ours.prepare(slice_at(1))
    [trouble, _] = ours.troubles
    assert str(folder / FILE_NAME) in trouble
    assert "new slices are not offered" in trouble
    assert "nodeAgent.cdiDir" in trouble
    folder.mkdir()
    (folder / "nvidia.yaml").write_text(yaml.safe_dump(DESCRIPTION), encoding="utf-8")
    assert ours.prepare(slice_at(1))
    assert names(folder) == [uuid(1)]
    assert ours.troubles == ()


def test_a_full_disk_leaves_the_old_file(ours: CdiFolder, folder: Path) -> None:
    """A name that cannot be made stands in for it: the file aside is never half of the one that is read."""
    ours.prepare(slice_at(1))
    (folder / f".{FILE_NAME}.new").mkdir()
    assert not ours.prepare(slice_at(2))
    assert names(folder) == [uuid(1)]
    (folder / f".{FILE_NAME}.new").rmdir()
    assert ours.prepare(slice_at(2))
    assert names(folder) == [uuid(1), uuid(2)]


def test_a_slice_whose_nodes_nobody_tells_is_not_offered(ours: CdiFolder, root: Path, folder: Path) -> None:
    """By name a container has nothing but what the description says, so half of it would be no slice at all."""
    (root / "proc/driver/nvidia-caps/mig-minors").unlink()
    assert not ours.prepare(slice_at(1))
    assert not ours.prepare(device(2, SMALL))
    assert list(folder.iterdir()) == []
    capabilities, minor = ours.troubles
    assert "the kernel does not tell the nodes of its capabilities" in capabilities
    assert "the kernel does not tell its minor number; is the driver loaded, with nvidia-uvm?" in minor
    ours.forget(uuid(1))
    ours.forget(uuid(2))
    assert ours.troubles == ()


def test_capabilities_without_a_node_are_named_by_their_numbers(ours: CdiFolder, root: Path, folder: Path) -> None:
    """A node for a slice that was never used is made by nobody; a runtime makes the container's from the numbers."""
    for path in (root / "dev/nvidia-caps").iterdir():
        path.unlink()
    assert not ours.prepare(slice_at(1))
    (root / "proc/devices").write_text("Character devices:\n236 nvidia-caps\n\nBlock devices:\n", encoding="ascii")
    assert by_name(root, folder).prepare(slice_at(1))
    [entry] = read(folder)["devices"]
    nodes = [each for each in entry["containerEdits"]["deviceNodes"] if "nvidia-cap" in each["path"]]
    assert [(each["type"], each["major"]) for each in nodes] == [("c", 236)] * 2
    assert [each["path"].rpartition("nvidia-cap")[2] for each in nodes] == [str(each["minor"]) for each in nodes]


def test_an_entry_follows_the_driver_that_is_loaded_again(ours: CdiFolder, root: Path, folder: Path) -> None:
    """Its majors may be others, and a runtime makes the container's nodes by them."""

    def majors() -> set[int]:
        [entry] = read(folder)["devices"]
        return {each["major"] for each in entry["containerEdits"]["deviceNodes"] if "nvidia-cap" in each["path"]}

    for major in (236, 237):
        text = f"Character devices:\n{major} nvidia-caps\n511 nvidia-uvm\n\nBlock devices:\n"
        (root / "proc/devices").write_text(text, encoding="ascii")
        assert ours.prepare(slice_at(1))
        assert majors() == {major}


def test_a_slice_waits_for_what_cuda_cannot_do_without(ours: CdiFolder, root: Path, folder: Path) -> None:
    """nvidia-uvm is loaded by whoever first computes, so it can be missing after a boot; then all is well by itself."""
    uvm, tools = root / "dev/nvidia-uvm", root / "dev/nvidia-uvm-tools"
    tables = root / "proc/devices"
    tables.write_text("Character devices:\n236 nvidia-caps\n\nBlock devices:\n", encoding="ascii")
    uvm.unlink()
    tools.unlink()
    assert not ours.prepare(slice_at(1))
    assert list(folder.iterdir()) == []
    [trouble] = ours.troubles
    assert "the kernel does not tell /dev/nvidia-uvm;" in trouble
    uvm.touch()
    assert ours.prepare(slice_at(1))
    assert str(tools.name) not in (folder / FILE_NAME).read_text(encoding="utf-8")
    tools.touch()
    assert ours.prepare(slice_at(1))
    assert str(tools.name) in (folder / FILE_NAME).read_text(encoding="utf-8")


def test_nvidias_description_is_followed(ours: CdiFolder, folder: Path) -> None:
    """Missing: said, with the command; then taken over; after a driver's upgrade the newer one; JSON or YAML."""
    ours.prepare(slice_at(1))
    assert "containerEdits" not in read(folder)
    [trouble] = ours.troubles
    assert f"nvidia-ctk cdi generate --output={folder}/nvidia.yaml" in trouble
    (folder / "nvidia.yaml").write_text(yaml.safe_dump(DESCRIPTION), encoding="utf-8")
    ours.prepare(slice_at(1))
    assert ours.troubles == ()
    assert "libcuda.so.580.95.05" in read(folder)["containerEdits"]["mounts"][0]["hostPath"]
    newer = json.dumps(DESCRIPTION).replace("580.95.05", "590.10")
    (folder / "nvidia.yaml").unlink()
    (folder / "gpus.json").write_text(newer, encoding="utf-8")
    ours.prepare(slice_at(1))
    assert "libcuda.so.590.10" in read(folder)["containerEdits"]["mounts"][0]["hostPath"]


@pytest.mark.parametrize(
    "edits",
    [
        *({"env": 5}, {"mounts": "/lib"}, {"hooks": {"a": 1}}, {"deviceNodes": 5}, {"additionalGids": True}),
        *({"env": [5, None]}, {"mounts": ["/lib"]}, {"hooks": [None]}, {"deviceNodes": [5]}, {"additionalGids": ["x"]}),
    ],
    ids=str,
)
def test_of_a_damaged_description_of_nvidias_what_is_none_is_left_out(
    ours: CdiFolder, folder: Path, edits: dict[str, Any]
) -> None:
    """Ours stays one that runtimes read, and the agent goes on."""
    (folder / "nvidia.yaml").write_text(yaml.safe_dump(DESCRIPTION | {"containerEdits": edits}), encoding="utf-8")
    assert ours.prepare(slice_at(1))
    assert "containerEdits" not in read(folder)


def test_other_descriptions_of_the_folder_are_none_of_ours(ours: CdiFolder, folder: Path) -> None:
    """Another vendor's, garbage, one too large, one that is no file."""
    (folder / "vendor.json").write_text(json.dumps(DESCRIPTION | {"kind": "vendor.com/nic"}), encoding="utf-8")
    (folder / "garbage.yaml").write_text("{[", encoding="utf-8")
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    with (folder / "huge.yaml").open("wb") as huge:
        os.truncate(huge.fileno(), 64 << 20)
    assert ours.prepare(slice_at(1))
    assert "containerEdits" not in read(folder)
    assert len(ours.troubles) == 1
