"""The driver's library below another root than `/`: the GPU operator's driver container, for one.

Such a library may come later than the agent (the container has to build its kernel module), and may be replaced by another
version while the agent runs. It is therefore looked for at each start of a session, and loaded when it is another file than
the one in use. Promise: no path of the dynamic loader is needed, and pynvml calls the newest. A library that was replaced stays
mapped, unused: nothing can unload it safely. Where nothing lies (yet), nothing happens, and the driver says that it is missing.
"""

import ctypes
import logging
from pathlib import Path
from typing import Final

from nodeagent.gpus.nvml_calls import pynvml

log = logging.getLogger(__name__)

LIBRARY: Final = "libnvidia-ml.so.1"
FOLDERS: Final = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "lib64")
"""Where distributions and the GPU operator's driver container put the library, below the driver's root."""


class DriverLibrary:
    """The library below `root`; with `/` it is left to the dynamic loader. One a process, since pynvml knows one library."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loaded: tuple[int, int, int] | None = None

    def load(self) -> None:
        """Load it, if there is one that is not loaded yet; between two sessions. Raises `OSError` where it cannot be loaded."""
        if self._root == Path("/"):
            return
        path = next((path for folder in FOLDERS if (path := self._root / folder / LIBRARY).exists()), None)
        if path is None:
            return
        stat = path.stat()
        found = (stat.st_dev, stat.st_ino, stat.st_mtime_ns)
        if found == self._loaded:
            return
        # Not RTLD_GLOBAL: a second version would call the first one's functions for its own.
        pynvml.nvmlLib = ctypes.CDLL(str(path.resolve()))
        pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001 - its pointers are into the library that was replaced
        log.info("loaded %s", path.resolve(), extra={"replaced": self._loaded is not None})
        self._loaded = found
