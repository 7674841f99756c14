"""A simulated `libnvidia-ml.so.1` with the semantics of real MIG, for machines without a GPU.

Why: NVML is the boundary that the node agent talks to, so it is simulated there, below the unmodified `pynvml` and any
other NVML client, and not inside our code. `SimNode` makes the GPUs of one node, in a folder that all processes of the
node share; `SimNode.environment()` is what such a process needs to see them, and `SIMGPU_FAULTS` (`faults.py`) lets one process
alone meet faults. Not simulated: CUDA, clocks, NVLink, vGPU.
"""

from simgpu.build import library
from simgpu.catalogue import Model, find, models
from simgpu.errors import BuildError, RefusedError, SimGpuError, UnknownGpuError
from simgpu.faults import Fault
from simgpu.node import SimNode
from simgpu.snapshot import ComputeInstance, Gpu, GpuInstance

__all__ = [
    "BuildError",
    "ComputeInstance",
    "Fault",
    "Gpu",
    "GpuInstance",
    "Model",
    "RefusedError",
    "SimGpuError",
    "SimNode",
    "UnknownGpuError",
    "find",
    "library",
    "models",
]
