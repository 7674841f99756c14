"""The machine that is tested when no other is named: simulated GPUs of every kind, some in use.

The only module here that knows the simulator; it is imported only when it is wanted.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from simgpu import SimNode, library

# The first has instances and processes; the next three, with grids of 8, 4 and 12, are for making some; then MIG off, then
# none. Their order is the order of the fields below.
GPUS: Final = ("a100-80gb", "h100-80gb", "a30-24gb", "rtx-pro-6000-96gb", "h200-141gb", "a100-40gb", "l40s")
MIG: Final = (True, True, True, True, False, False, False)
PROCESSES: Final = 3


@contextmanager
def node(folder: Path) -> Iterator[None]:
    """For as long as it stands, this process's NVML is the simulator, on a new node in the folder."""
    made = SimNode.create(folder / "node", gpus=GPUS, mig_enabled=MIG)
    before = os.environ.get("SIMGPU_STATE")
    os.environ["SIMGPU_STATE"] = str(made.directory)
    # Loaded by its path here, it is what every later load by name finds.
    ctypes.CDLL(str(library()), mode=ctypes.RTLD_GLOBAL)
    workloads = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) for _ in range(PROCESSES)]
    try:
        _use(made, [process.pid for process in workloads])
        yield
    finally:
        for process in workloads:
            process.kill()
            process.wait()
        if before is None:
            del os.environ["SIMGPU_STATE"]
        else:
            os.environ["SIMGPU_STATE"] = before


def _use(made: SimNode, pids: list[int]) -> None:
    """Three slices, one half-made; two processes on one slice, one process on a GPU without MIG."""
    made.create_foreign(0, "3g.40gb", 4)
    made.create_foreign(0, "1g.10gb", 0)
    made.create_foreign(0, "1g.10gb", 2, with_ci=False)
    busy = next(gi for gi in made.gpus[0].instances if gi.start == 4)
    for pid in pids[:2]:
        made.hold(busy.compute_instances[0].uuid, pid)
    made.hold(made.gpus[-1].uuid, pids[2])
