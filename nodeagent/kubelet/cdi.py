"""The description of our slices for the Container Device Interface (CDI): what the name of a slice stands for. Pure.

A container runtime that is given `nos.nebuly.com/mig=<MIG UUID>` looks that up in a file of this content and edits the container:
device nodes and variables. What CUDA needs beside them (libraries, hooks) depends on the driver's installation, which NVIDIA's
tool describes on each node: the edits of that description as a whole are taken over, but for its device nodes of GPUs, so that
a slice's container is shown that slice alone.

`NVIDIA_VISIBLE_DEVICES=void` is among the edits, as in NVIDIA's own. A runtime applies CDI's edits after everything that the user
wrote, `envFrom` included, so what a user puts into that variable of a container with a slice changes nothing, also where NVIDIA's
runtime stands behind. It does not reach containers that ask for no slice. The rules are those of the CDI specification, 0.6.0.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nodeagent.kubelet.devicenodes import Access, DeviceNode, on_host
from nodeagent.kubelet.handing import VISIBLE_DEVICES

KIND: Final = "nos.nebuly.com/mig"
FILE_NAME: Final = "nos.nebuly.com-mig.json"
"""By vendor and class, as the specification recommends; runtimes read every `.json` and `.yaml` of their folders."""

NVIDIA_KIND: Final = "nvidia.com/gpu"
PLACE: Final = "nos.nebuly.com/place"
"""The annotation that tells the place of a slice, since UUIDs do not."""

_VERSION: Final = (0, 6, 0)
"""The oldest one with annotations. Containerd reads it from 1.7.0 on."""

_EDITS: Final = ("additionalGids", "deviceNodes", "env", "hooks", "mounts")
_OF_ONE_GPU = re.compile(r"/dev/(nvidia\d+|nvidia-caps/.*|dri/.*)$")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Common:
    """What every slice's container needs of the driver's installation, by NVIDIA's description."""

    version: tuple[int, ...] = _VERSION
    edits: tuple[tuple[str, tuple[Any, ...]], ...] = ()


NOTHING: Final = Common()


def device_name(uuid: str) -> str:
    """The name that a runtime looks up."""
    return f"{KIND}={uuid}"


def place_of(access: Access) -> str:
    """A place has at most one slice at a time."""
    return f"gpu{access.gpu_minor}/gi{access.gi}/ci{access.ci}"


def entry(uuid: str, access: Access, nodes: Iterable[DeviceNode], *, device_root: Path) -> Json:
    """What one slice's name stands for. `device_root` is below what the host has its `dev` folder."""
    return {
        "name": uuid,
        "annotations": {PLACE: place_of(access)},
        "containerEdits": {
            "env": [f"{VISIBLE_DEVICES}=void"],
            "deviceNodes": [_node(node, device_root) for node in nodes],
        },
    }


def description(entries: Iterable[Json], common: Common) -> Json:
    """The whole file. A description has at least one device."""
    edits = {name: list(values) for name, values in common.edits}
    return {
        "cdiVersion": ".".join(str(number) for number in common.version),
        "kind": KIND,
        "devices": sorted(entries, key=lambda each: str(each["name"])),
        **({"containerEdits": edits} if edits else {}),
    }


def entries_of(file: object) -> dict[str, Json]:
    """The entries of a description of ours by UUID; none of what is not one. Somebody may have edited the file."""
    if not isinstance(file, Mapping) or file.get("kind") != KIND:
        return {}
    return {each["name"]: each for each in _list(file.get("devices")) if _is_entry(each)}


def _is_entry(each: object) -> bool:
    if not isinstance(each, Mapping) or not isinstance(each.get("containerEdits"), Mapping):
        return False
    annotations = each.get("annotations")
    texts = (each.get("name"), annotations.get(PLACE) if isinstance(annotations, Mapping) else None)
    return all(isinstance(text, str) and text for text in texts)


def taken_over(file: object) -> Common | None:
    """What NVIDIA's description of this node says of containers with any of its GPUs; None where it is not that."""
    if not isinstance(file, Mapping) or file.get("kind") != NVIDIA_KIND:
        return None
    edits = file.get("containerEdits")
    if not isinstance(edits, Mapping):
        return None
    kept = {name: _kept(name, _list(edits.get(name))) for name in _EDITS}
    return Common(
        version=max(_VERSION, _version(str(file.get("cdiVersion", "")))),
        edits=tuple((name, values) for name, values in kept.items() if values),
    )


def _kept(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    match name:
        case "env":
            return tuple(
                each for each in values if isinstance(each, str) and not each.startswith(f"{VISIBLE_DEVICES}=")
            )
        case "deviceNodes":
            nodes = (each for each in values if isinstance(each, Mapping))
            return tuple(each for each in nodes if not _OF_ONE_GPU.match(str(each.get("path", ""))))
        case "additionalGids":
            return tuple(each for each in values if type(each) is int)
        case _:
            return tuple(each for each in values if isinstance(each, Mapping))


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _version(text: str) -> tuple[int, ...]:
    numbers = text.removeprefix("v").split(".")
    return tuple(int(each) for each in numbers) if all(each.isdecimal() for each in numbers) else _VERSION


def _node(node: DeviceNode, device_root: Path) -> Json:
    """With its numbers, where they are known, a runtime can make it in the container though the host has none (yet)."""
    numbers = {"type": "c", "major": node.numbers[0], "minor": node.numbers[1]} if node.numbers else {}
    host = on_host(node.path, device_root)
    return {
        "path": node.path,
        **({"hostPath": host} if host != node.path else {}),
        **numbers,
        "permissions": "rw",
    }
