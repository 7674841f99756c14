"""The folder of a simulated node, opened: what is there, for whoever looks at it.

Promise: what is read here comes straight from the state that the library works on, with no NVML call, and each GPU's part of
it is of one moment. What can be done to the node stands in `workloads.py`, `administration.py` and `calamities.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from simgpu.build import library
from simgpu.snapshot import Gpu, read_gpu
from simgpu.state import StateFile


class NodeFolder:
    """A node's folder and the state in it, mapped for as long as this object lives."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._file = StateFile(self.directory)

    def environment(self) -> dict[str, str]:
        """Return the variables under which a process finds the library and this node; compiles the library if need be."""
        paths = [str(library().parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": ":".join(paths), "SIMGPU_STATE": str(self.directory)}

    @property
    def root(self) -> Path:
        """Return the folder that stands for `/` where the driver is installed: its library, `/proc` and `/dev`."""
        return self.directory / "root"

    @property
    def identity(self) -> str:
        """Return the text that all UUIDs of the node derive from."""
        return (self.directory / "identity").read_text(encoding="utf-8")

    @property
    def boot_id(self) -> str:
        """Return the id of the present boot, which is also in the folder's file `boot_id`."""
        return (self.directory / "boot_id").read_text(encoding="utf-8")

    @property
    def driver_version(self) -> str:
        """Return the version of the installed driver, loaded or not."""
        version: bytes = self._file.state.driver_version
        return version.decode()

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Return what is on each GPU now."""
        return tuple(self._read(index) for index in self._indices())

    def _indices(self) -> range:
        return range(self._file.state.gpu_count)

    def _read(self, index: int) -> Gpu:
        with self._file.locked(index) as gpu:
            return read_gpu(gpu, index=index)
