"""Handing slices over by CDI names: keeps our description in the container runtime's folder true.

It promises that a slice's entry is in the file before the slice is offered and until it was dropped, that a reader sees
a whole file always, and that a file which somebody deleted or changed, or whose device nodes are others since the driver was
loaded again, is put right when it matters: at each reading of the GPU, each `Allocate`, and each start of a container.
Entries of an agent before us stay until their place has another slice, so that containers can start again while we are still
reading the hardware. Nothing is flushed to disk: the folder is one of `/run`, and what a power cut takes a boot takes as well.
What the entries say is decided in `nodeagent.kubelet.cdi`.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import yaml

from nodeagent.kubelet import cdi
from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.devicenodes import CONTROL, Access, DeviceNode, DeviceNodes
from nodeagent.kubelet.offers import Device

log = logging.getLogger(__name__)

LARGEST_BYTES: Final = 4 << 20
"""A description of NVIDIA's of eight GPUs in seven slices each has some 300 KiB."""

OPTIONAL: Final = frozenset({"nvidia-uvm-tools"})
"""Of the control nodes: what computing does without."""

Identity = tuple[str, int, int, int]


class CdiFolder:
    """By the name of a CDI device. `folders` are where NVIDIA's description may lie, the first found counts."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: DeviceNodes,
        device_root: Path,
        folders: Sequence[Path],
        replace: Callable[[Path, Path], object] = os.replace,
    ) -> None:
        """`device_root` is below what the host has its `dev` folder; `replace` as the ledger's."""
        self._replace = replace
        self._path = folder / cdi.FILE_NAME
        self._nodes = nodes
        self._device_root = device_root
        self._folders = folders
        self._entries: dict[str, cdi.Json] | None = None
        self._prepared: set[str] = set()
        self._unknown: dict[str, str] = {}
        self._written: tuple[str, Identity | None] = ("", None)
        self._nvidia: tuple[tuple[Identity, ...], cdi.Common | None] = ((), None)
        self._unwritable = ""

    @property
    def troubles(self) -> tuple[str, ...]:
        """Slices that are not offered, and why; driver's libraries that containers will lack."""
        lacking = ""
        if self._prepared and self._nvidia[1] is None:
            lacking = (
                f"no description of {cdi.NVIDIA_KIND} in {' or '.join(map(str, self._folders))}: containers get device nodes but "
                f"none of the driver's libraries; run `nvidia-ctk cdi generate --output={self._folders[0]}/nvidia.yaml` on the node"
            )
        return tuple(dict.fromkeys(each for each in (self._unwritable, lacking, *self._unknown.values()) if each))

    def prepare(self, device: Device) -> bool:
        """Have the slice in the file; False where it cannot be."""
        entries = self._known()
        entry = self._entry(device)
        if entry is None:
            return False
        if entries.get(device.id) != entry:
            for name in [name for name, each in entries.items() if _place(each) == _place(entry)]:
                del entries[name]
            entries[device.id] = entry
        self._prepared.add(device.id)
        return self._keep()

    def forget(self, device_id: str) -> None:
        """Take it out of the file."""
        self._unknown.pop(device_id, None)
        self._prepared.discard(device_id)
        if self._known().pop(device_id, None) is not None:
            self._keep()

    def answer(self, devices: Sequence[Device]) -> pb.ContainerAllocateResponse:
        """The names alone: device nodes and variables are behind them."""
        for device in devices:
            self.prepare(device)
        return pb.ContainerAllocateResponse(
            cdi_devices=[pb.CDIDevice(name=cdi.device_name(each.id)) for each in devices]
        )

    def _entry(self, device: Device) -> cdi.Json | None:
        nodes = self._usable(device.access) if device.access else ()
        if device.access is None or (lacking := _lacking(device.access, nodes)):
            what = lacking if device.access else "its minor number"
            self._unknown[device.id] = (
                f"slices of {device.gpu} are not offered: the kernel does not tell {what}; is the driver loaded, with nvidia-uvm? "
                "nodeAgent.deviceListStrategy=envvar does without"
            )
            return None
        self._unknown.pop(device.id, None)
        return cdi.entry(device.id, device.access, nodes, device_root=self._device_root)

    def _usable(self, access: Access) -> tuple[DeviceNode, ...]:
        """Those that a runtime can make or find."""
        nodes = self._nodes.of(access)
        usable = tuple(node for node in nodes if node.numbers or self._nodes.has(node))
        for node in nodes:
            if node not in usable and node.name in OPTIONAL:
                self._nodes.missed(
                    node.path, "containers are made without it until it is there; some profilers need it"
                )
        return usable

    def _keep(self) -> bool:
        """Write the file if it is not what it should be; whether it is now."""
        entries = self._known()
        try:
            if not entries:
                self._path.unlink(missing_ok=True)
                return True
            text = json.dumps(cdi.description(entries.values(), self._common() or cdi.NOTHING), indent=1) + "\n"
            if self._written != (text, _identity(self._path)):
                # Runtimes read what ends in .json or .yaml alone.
                fresh = self._path.with_name(f".{cdi.FILE_NAME}.new")
                fresh.write_text(text, encoding="utf-8")
                self._replace(fresh, self._path)
                self._written = (text, _identity(self._path))
        except OSError as error:
            said = self._unwritable
            self._unwritable = (
                f"the CDI description {self._path} cannot be written ({error}), so new slices are not offered; make the folder "
                "writable for the agent, or name another (nodeAgent.cdiDir)"
            )
            if self._unwritable != said:
                log.warning("%s", self._unwritable)
            return False
        self._unwritable = ""
        return True

    def _known(self) -> dict[str, cdi.Json]:
        """The entries; first those that an agent before us left."""
        if self._entries is None:
            self._entries = cdi.entries_of(_read(self._path))
        return self._entries

    def _common(self) -> cdi.Common | None:
        """NVIDIA's, read again when a file of the folders changed."""
        files = tuple(self._candidates())
        if files != self._nvidia[0]:
            read = (cdi.taken_over(_read(Path(path))) for path, *_ in files)
            self._nvidia = (files, next((each for each in read if each is not None), None))
        return self._nvidia[1]

    def _candidates(self) -> Iterator[Identity]:
        for folder in self._folders:
            try:
                paths = sorted(folder.iterdir())
            except OSError:
                continue
            for path in paths:
                if path.suffix in {".json", ".yaml"} and path != self._path and (found := _identity(path)):
                    yield found


def _lacking(access: Access, nodes: Sequence[DeviceNode]) -> str:
    """What a slice cannot be used without and is not among the nodes, in words; empty where all is there."""
    names = {node.name for node in nodes}
    control = sorted({*CONTROL, f"nvidia{access.gpu_minor}"} - OPTIONAL - names)
    known = sum(name.startswith("nvidia-caps/") for name in names) == 2
    capabilities = (
        [] if known else ["the nodes of its capabilities (/proc/driver/nvidia-caps/mig-minors, /proc/devices)"]
    )
    return ", ".join([*(f"/dev/{name}" for name in control), *capabilities])


def _place(entry: cdi.Json) -> str:
    return str(entry["annotations"][cdi.PLACE])


def _identity(path: Path) -> Identity | None:
    """What tells a file from what it was before; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> object:
    """A description, which is JSON or YAML; None where it cannot be read."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return None
        text = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)  # thirty times as fast as the one in Python
        return json.loads(json.dumps(text, default=str))  # what of YAML has no form in JSON, in which we write it
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("%s cannot be read as a CDI description: %s", path, error)
        return None
