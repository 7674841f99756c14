"""One simulated node: make it, look at its hardware, and do to it what the world does.

Why: tests and the demo need GPUs on machines that have none. Promise: what is read here comes straight from the state
that the library works on, with no NVML call; what is done here (foreign instances, processes, reboots, faults) is
what an administrator, a workload or bad luck would do on a real machine, and is seen by every process of the node at once.
What the library itself does stands in the C files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from simgpu import driverroot, image
from simgpu.build import library
from simgpu.calamities import Calamities
from simgpu.errors import UnknownGpuError
from simgpu.state import write

DRIVER_VERSION = "580.95.05"
CUDA_VERSION = 13000  # 1000 * major + 10 * minor


class SimNode(Calamities):
    """A node's simulated GPUs. Any number of these objects, in any number of processes, may look at one folder."""

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        gpus: Sequence[str] = ("a100-80gb",),
        mig_enabled: bool | Sequence[bool] = True,
        driver_version: str = DRIVER_VERSION,
        cuda_version: int = CUDA_VERSION,
        latencies: bool = False,
        identity: str | None = None,
    ) -> Self:
        """Make a node in the folder, which may exist but hold no node; compiles the library if need be.

        `gpus` names models or products of the tables; `mig_enabled` is for all GPUs or one flag each. With `latencies`
        changes take as long as on hardware. All UUIDs derive from `identity`, by default the folder's path.
        Raises SimGpuError (UnknownGpuError, BuildError), or FileExistsError.
        """
        directory = directory.resolve()
        flags = [mig_enabled] * len(gpus) if isinstance(mig_enabled, bool) else list(mig_enabled)
        if len(flags) != len(gpus):
            raise UnknownGpuError(f"mig_enabled has {len(flags)} flags for {len(gpus)} GPUs; give one flag each")
        identity = identity or str(directory)
        state = image.build(
            image.Node(
                identity=identity,
                gpus=gpus,
                mig=flags,
                driver_version=driver_version,
                cuda_version=cuda_version,
                latencies=latencies,
            )
        )
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "state").exists():
            raise FileExistsError(f"{directory} holds a simulated node already; open it, or choose another folder")
        (directory / "identity").write_text(identity, encoding="utf-8")
        write(directory / "boot_id", image.boot_id(identity, 0).encode())
        driverroot.write(directory / "root", state, library=library())
        write(directory / "state", bytes(state))
        return cls(directory)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the node that the folder holds. Raises FileNotFoundError or SimGpuError."""
        return cls(directory)
