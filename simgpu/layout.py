"""The state file's layout, as ctypes sees it: the same bytes as `state.h`, field for field.

Why: Python makes the file and reads it, C works on it while it is mapped. `tests/simgpu/test_layout.py` lets the C compiler
compare every size and offset of the two, so neither can move alone. What the fields mean stands in `state.h`.
"""

from __future__ import annotations

import ctypes
from typing import ClassVar

MAGIC = int.from_bytes(b"SIMGPU01", "little")
LAYOUT = 2
ANY = 0xFFFFFFFF

GPUS = 16
PROFILES = 16
PLACEMENTS = 8
GI_IDS = 16
CI_IDS = 8
CI_PROFILES = 9
HOLDS = 64
FAULTS = 32
FUNCTIONS = 128
FUNCTION_WORDS = FUNCTIONS // 64

_u32 = ctypes.c_uint32
_u64 = ctypes.c_uint64
Fields = list[tuple[str, type]]


class Placement(ctypes.Structure):
    """`struct sim_placement`."""

    _fields_: ClassVar[Fields] = [("start", _u32), ("rank", _u32), ("gi_id", _u32), ("reserved", _u32)]


class Profile(ctypes.Structure):
    """`struct sim_profile`."""

    _fields_: ClassVar[Fields] = [
        ("name", ctypes.c_char * 32),
        ("id", _u32),
        ("gi_enum", _u32),
        ("slices", _u32),
        ("size", _u32),
        ("instances", _u32),
        ("media", _u32),
        ("graphics", _u32),
        ("sm", _u32),
        ("copy", _u32),
        ("decoder", _u32),
        ("encoder", _u32),
        ("jpeg", _u32),
        ("ofa", _u32),
        ("memory_mib", _u32),
        ("ci_mask", _u32),
        ("placement_count", _u32),
        ("create_gi_ms", _u32),
        ("create_ci_ms", _u32),
        ("destroy_gi_ms", _u32),
        ("destroy_ci_ms", _u32),
        ("placements", Placement * PLACEMENTS),
    ]


class ComputeInstance(ctypes.Structure):
    """`struct sim_ci`."""

    _fields_: ClassVar[Fields] = [
        ("used", _u32),
        ("ci_enum", _u32),
        ("start", _u32),
        ("size", _u32),
        ("serial", _u64),
    ]


class GpuInstance(ctypes.Structure):
    """`struct sim_gi`."""

    _fields_: ClassVar[Fields] = [
        ("used", _u32),
        ("profile", _u32),
        ("start", _u32),
        ("reserved", _u32),
        ("serial", _u64),
        ("cis", ComputeInstance * CI_IDS),
    ]


class Hold(ctypes.Structure):
    """`struct sim_hold`."""

    _fields_: ClassVar[Fields] = [
        ("used", _u32),
        ("pid", _u32),
        ("started", _u64),
        ("ci_serial", _u64),
        ("gi_id", _u32),
        ("ci_id", _u32),
        ("memory_bytes", _u64),
        ("ended_ms", _u64),
    ]


class Gpu(ctypes.Structure):
    """`struct sim_gpu`."""

    _fields_: ClassVar[Fields] = [
        ("uuid", ctypes.c_char * 48),
        ("name", ctypes.c_char * 96),
        ("model", ctypes.c_char * 48),
        ("serial_number", ctypes.c_char * 32),
        ("pci_domain", _u32),
        ("pci_bus", _u32),
        ("pci_device", _u32),
        ("pci_device_id", _u32),
        ("architecture", _u32),
        ("cc_major", _u32),
        ("cc_minor", _u32),
        ("memory_mib", _u32),
        ("mig_capable", _u32),
        ("mig_current", _u32),
        ("mig_pending", _u32),
        ("mig_needs_reset", _u32),
        ("compute_slices", _u32),
        ("grid_width", _u32),
        ("profile_count", _u32),
        ("generation", _u32),
        ("lost", _u32),
        ("reset_required", _u32),
        ("linger_ms", _u32),
        ("reserved", _u32),
        ("serial", _u64),
        ("profiles", Profile * PROFILES),
        ("mig_uuids", ctypes.c_uint8 * 16 * CI_IDS * GI_IDS),
        ("gis", GpuInstance * GI_IDS),
        ("holds", Hold * HOLDS),
    ]


class Fault(ctypes.Structure):
    """`struct sim_fault`."""

    _fields_: ClassVar[Fields] = [
        ("used", _u32),
        ("gpu", _u32),
        ("code", _u32),
        ("times", ctypes.c_int32),
        ("block_ms", _u32),
        ("after", _u32),
        ("functions", _u64 * FUNCTION_WORDS),
        ("serial", _u64),
    ]


class State(ctypes.Structure):
    """`struct sim_state`: the whole file."""

    _fields_: ClassVar[Fields] = [
        ("magic", _u64),
        ("layout", _u32),
        ("gpu_count", _u32),
        ("driver_version", ctypes.c_char * 80),
        ("nvml_version", ctypes.c_char * 80),
        ("cuda_version", _u32),
        ("boot_count", _u32),
        ("ci_slices", _u32 * CI_PROFILES),
        ("latencies", _u32),
        ("mismatch", _u32),
        ("unloaded", _u32),
        ("driver_epoch", _u32),
        ("reserved", _u32),
        ("fault_serial", _u64),
        ("calls", _u64 * FUNCTIONS),
        ("faults", Fault * FAULTS),
        ("gpus", Gpu * GPUS),
    ]


# The C name of each structure, for the comparison with state.h.
STRUCTURES: dict[str, type[ctypes.Structure]] = {
    "sim_placement": Placement,
    "sim_profile": Profile,
    "sim_ci": ComputeInstance,
    "sim_gi": GpuInstance,
    "sim_hold": Hold,
    "sim_gpu": Gpu,
    "sim_fault": Fault,
    "sim_state": State,
}
