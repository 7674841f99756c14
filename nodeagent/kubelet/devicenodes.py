"""The device nodes that a container needs to compute on one MIG slice.

Why: NVIDIA's runtime puts them into a container behind the back of the container manager, so a `systemctl daemon-reload` takes
the GPU away from running containers, unless the kubelet was told of the nodes, too. Promise: which nodes a slice needs is a pure
function of its place and the kernel's tables as they are now, so no container is ever shown another slice's. What becomes of a
node that is not there is up to the way in which slices are handed over. Nothing is made or opened here.

A slice's GPU instance (GI) and compute instance (CI) each have a capability whose holder may use them: a node
`/dev/nvidia-caps/nvidia-cap<minor>`, the minor by the table in `/proc/driver/nvidia-caps/mig-minors`, in lines such as
`gpu0/gi7/access 66` and `gpu0/gi7/ci0/access 67` (NVIDIA's MIG user guide, "Device nodes and capabilities").
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

CONTROL: Final = {"nvidiactl": ("", 255), "nvidia-uvm": ("nvidia-uvm", 0), "nvidia-uvm-tools": ("nvidia-uvm", 1)}
"""What every CUDA process opens: the node's name, its driver in `/proc/devices` (none: that of GPUs), its minor."""

GPU_MAJOR: Final = 195
"""Linux's list of devices reserves it for NVIDIA; its driver's name in `/proc/devices` changed over the years."""

BY_RUNTIME: Final = (
    "a container has it from NVIDIA's runtime alone and may lose it when systemd reloads; NVIDIA's runtime or nvidia-modprobe "
    "makes it on the host when the slice is first used"
)
"""Where NVIDIA's runtime stands behind."""

_CHARACTER_DEVICE = re.compile(r"^\s*(\d+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Access:
    """Where a slice is, as its capabilities are named: the GPU's minor number, and the ids of the GI and the CI in it."""

    gpu_minor: int
    gi: int
    ci: int


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """One node by its path below `/dev`, and its numbers (major, minor) where the kernel tells them."""

    name: str
    numbers: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """The same in a container as on the host, but for the host's root."""
        return f"/dev/{self.name}"


@dataclass(frozen=True, slots=True)
class Tables:
    """What the kernel tells: MIG capabilities by name (`gpu0/gi7/access`), and majors of character devices by driver."""

    capabilities: Mapping[str, int] = field(default_factory=dict)
    majors: Mapping[str, int] = field(default_factory=dict)


def capability_table(text: str) -> dict[str, int]:
    """`mig-minors`: name → minor. Lines of another form are passed over: a newer driver may add kinds."""
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}


def major_table(text: str) -> dict[str, int]:
    """`/proc/devices`: driver → major, of character devices."""
    characters = text.partition("Block devices:")[0]
    return {name: int(major) for major, name in _CHARACTER_DEVICE.findall(characters)}


def nodes_of(access: Access, tables: Tables) -> tuple[DeviceNode, ...]:
    """What a container on this slice needs; a capability that the table does not name is left out."""
    control = [
        DeviceNode(name, _numbers(tables.majors.get(driver) if driver else GPU_MAJOR, minor))
        for name, (driver, minor) in CONTROL.items()
    ]
    gpu = DeviceNode(f"nvidia{access.gpu_minor}", (GPU_MAJOR, access.gpu_minor))
    return (*control, gpu, *capabilities_of(access, tables))


def capabilities_of(access: Access, tables: Tables) -> tuple[DeviceNode, ...]:
    """The two nodes that let a container use this GI and this CI: fewer than two where the table does not name them."""
    place = f"gpu{access.gpu_minor}/gi{access.gi}"
    minors = (tables.capabilities.get(f"{place}/access"), tables.capabilities.get(f"{place}/ci{access.ci}/access"))
    major = tables.majors.get("nvidia-caps")
    return tuple(
        DeviceNode(f"nvidia-caps/nvidia-cap{minor}", _numbers(major, minor)) for minor in minors if minor is not None
    )


def _numbers(major: int | None, minor: int) -> tuple[int, int] | None:
    return None if major is None else (major, minor)


class DeviceNodes:
    """Those of this machine: reads the kernel's tables, and looks which nodes are there.

    `dev` is the host's folder of device nodes as this process sees it; `proc` is the kernel's.
    """

    def __init__(self, *, dev: Path, proc: Path) -> None:
        self._dev = dev
        self._proc = proc
        self._texts = ("", "")
        self._tables = Tables()
        self._said: set[str] = set()

    def of(self, access: Access) -> tuple[DeviceNode, ...]:
        """What the slice needs, whether it is there or not.

        The tables are read each time: a driver that was loaded again may have got other majors.
        """
        texts = (_text(self._proc / "driver/nvidia-caps/mig-minors"), _text(self._proc / "devices"))
        if texts != self._texts:
            self._texts = texts
            self._tables = Tables(capability_table(texts[0]), major_table(texts[1]))
        return nodes_of(access, self._tables)

    def present(self, access: Access) -> tuple[DeviceNode, ...]:
        """Those of the nodes that are there now; of what is not, it is said once that NVIDIA's runtime has to bring it."""
        wanted = self.of(access)
        if len(wanted) < len(CONTROL) + 3:
            self.missed(f"the capabilities of GPU instance {access.gi} on /dev/nvidia{access.gpu_minor}", BY_RUNTIME)
        found = tuple(node for node in wanted if self.has(node))
        for node in wanted:
            if node not in found:
                self.missed(node.path, BY_RUNTIME)
        return found

    def has(self, node: DeviceNode) -> bool:
        """Whether the host has it."""
        return (self._dev / node.name).exists()

    def missed(self, what: str, outcome: str) -> None:
        """Say that it is not there, once, and what comes of that."""
        if what not in self._said:
            self._said.add(what)
            log.warning("%s: not found in %s, so %s", what, self._dev, outcome)


def on_host(path: str, device_root: Path) -> str:
    """`/dev/nvidia0` as the host sees it, where its driver may live below another root."""
    return str(device_root / path.removeprefix("/"))


def _text(path: Path) -> str:
    """A file of the kernel's; empty where there is none: no driver is loaded, or one that is too old."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
