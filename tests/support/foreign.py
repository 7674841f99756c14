"""What an admin does with MIG beside us, in a process of its own on a simulated node."""

import os
import subprocess
import sys

from simgpu import SimNode

_CUT = """
import sys, pynvml
gpu, gi_id = int(sys.argv[1]), int(sys.argv[2])
pynvml.nvmlInit()
gi = pynvml.nvmlDeviceGetGpuInstanceById(pynvml.nvmlDeviceGetHandleByIndex(gpu), gi_id)
one_slice = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, pynvml.NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE, 0)
pynvml.nvmlGpuInstanceCreateComputeInstance(gi, one_slice.id)
"""


def create_cut(sim: SimNode, gpu: int, profile: str, start: int) -> int:
    """An instance with a compute instance of one slice, which does not fill it; gives the GI's id."""
    gi = sim.create_foreign(gpu, profile, start, with_ci=False)
    argv = [sys.executable, "-c", _CUT, str(gpu), str(gi)]
    subprocess.run(argv, check=True, env={**os.environ, **sim.environment()}, timeout=30)
    return gi
