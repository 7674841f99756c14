"""NVML at the C boundary, for questions that the Python bindings do not let one ask: odd arguments, struct versions, short arrays.

Everything goes through the one library that the loader finds, or that was loaded before under the same name. A call
returns NVML's return code and raises nothing; `get` is for calls whose refusal is no fact but the end of a test.
"""

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tests.conformance.facts import pynvml

LIBRARY: Final = "libnvidia-ml.so.1"

SUCCESS: Final = 0
UNINITIALIZED: Final = 1
INVALID_ARGUMENT: Final = 2
NOT_SUPPORTED: Final = 3
NOT_FOUND: Final = 6
INSUFFICIENT_SIZE: Final = 7
FUNCTION_NOT_FOUND: Final = 13
IN_USE: Final = 19
INSUFFICIENT_RESOURCES: Final = 23
VERSION_MISMATCH: Final = 25

WHOLE_GPU: Final = 0xFFFFFFFF
"""The instance ids of a process that runs on no instance."""

NAME: Final = ctypes.c_char * 96
Fields = list[tuple[str, type]]

_GI_COUNTS: Final = ("id", "sliceCount", "instanceCount", "multiprocessorCount")
_ENGINES: Final = ("copyEngineCount", "decoderCount", "encoderCount", "jpegCount", "ofaCount")
_SHARED: Final = tuple(f"shared{name[0].upper()}{name[1:]}" for name in _ENGINES)


def _numbers(*names: str) -> Fields:
    return [(name, ctypes.c_uint) for name in names]


class GiProfile3(ctypes.Structure):
    """Version 3 of a GPU instance profile; Python's bindings end at 2."""

    _fields_: ClassVar[Fields] = [
        *_numbers("version", *_GI_COUNTS, *_ENGINES),
        ("memorySizeMB", ctypes.c_ulonglong),
        ("name", NAME),
        ("capabilities", ctypes.c_uint),
    ]


class CiProfile3(ctypes.Structure):
    """Version 3 of a compute instance profile."""

    _fields_: ClassVar[Fields] = [
        *_numbers("version", *_GI_COUNTS, *_SHARED),
        ("name", NAME),
        ("capabilities", ctypes.c_uint),
    ]


GI_FACTS: Final = (*_GI_COUNTS, *_ENGINES, "memorySizeMB")
CI_FACTS: Final = (*_GI_COUNTS, *_SHARED)


@functools.cache
def library() -> ctypes.CDLL:
    """The library, by the name that every client uses."""
    return ctypes.CDLL(LIBRARY)


def call(function: str, *args: Any) -> int:
    """Call with C arguments and return the code; FUNCTION_NOT_FOUND where this driver has no such function."""
    try:
        found = getattr(library(), function)
    except AttributeError:
        return FUNCTION_NOT_FOUND
    return int(found(*args))


def get(function: str, *args: Any) -> Any:
    """Call through the Python bindings. Raises pynvml.NVMLError."""
    return getattr(pynvml, function)(*args)


def read(structure: type[ctypes.Structure], function: str, *args: Any, version: int | None = None) -> tuple[int, Any]:
    """Call with a new structure at the end, its version word set where it has one; return the code and the structure."""
    value: Any = structure()
    if version is not None:
        value.version = ctypes.sizeof(structure) | version << 24
    return call(function, *args, ctypes.byref(value)), value


def number(function: str, *args: Any) -> tuple[int, int]:
    """Call with a number to be filled in at the end; return the code and the number."""
    value = ctypes.c_uint()
    return call(function, *args, ctypes.byref(value)), value.value


def text(value: bytes | str) -> str:
    """A text of NVML; newer bindings have decoded it already."""
    return value if isinstance(value, str) else value.decode()


def chosen(value: Any, names: tuple[str, ...]) -> dict[str, int]:
    """Those fields of a structure."""
    return {name: getattr(value, name) for name in names}


@dataclass(frozen=True)
class Profile:
    """What a GPU can be cut into, in the words of the second struct version; `places` are (start, size)."""

    enum: int
    id: int
    name: str
    slices: int
    most: int
    memory_mib: int
    places: tuple[tuple[int, int], ...]


def profiles(gpu: Any) -> list[Profile]:
    """All that this GPU offers now."""
    return list(_profiles(gpu))


def _profiles(gpu: Any) -> Iterator[Profile]:
    for enum in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        code, info = read(
            pynvml.c_nvmlGpuInstanceProfileInfo_v2_t, "nvmlDeviceGetGpuInstanceProfileInfoV", gpu, enum, version=2
        )
        if code == SUCCESS:
            yield Profile(
                enum=enum, id=info.id, name=text(info.name), slices=info.sliceCount, most=info.instanceCount,
                memory_mib=info.memorySizeMB, places=placements(gpu, info.id),
            )  # fmt: skip


def placements(gpu: Any, profile_id: int) -> tuple[tuple[int, int], ...]:
    """Where a profile can lie, in the driver's order."""
    function = "nvmlDeviceGetGpuInstancePossiblePlacements"
    count = ctypes.c_uint()
    get(function, gpu, profile_id, None, ctypes.byref(count))
    array = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    get(function, gpu, profile_id, array, ctypes.byref(count))
    return tuple((place.start, place.size) for place in array[: count.value])


def gpu_instances(gpu: Any, profile: Profile) -> list[Any]:
    """The handles of all instances of a profile."""
    array, count = (pynvml.c_nvmlGpuInstance_t * max(profile.most, 1))(), ctypes.c_uint()
    get("nvmlDeviceGetGpuInstances", gpu, profile.id, array, ctypes.byref(count))
    return [ctypes.cast(each, pynvml.c_nvmlGpuInstance_t) for each in array[: count.value]]


def instances(gpu: Any) -> list[tuple[Profile, Any, Any]]:
    """Profile, handle and info of every GPU instance that is there now."""
    return [
        (profile, gi, get("nvmlGpuInstanceGetInfo", gi))
        for profile in profiles(gpu)
        for gi in gpu_instances(gpu, profile)
    ]


def mig_devices(gpu: Any) -> list[Any]:
    """The handles of all MIG devices, by index, as clients without any right find them."""
    _, most = number("nvmlDeviceGetMaxMigDeviceCount", gpu)
    answers = [read(type(gpu), "nvmlDeviceGetMigDeviceHandleByIndex", gpu, index) for index in range(most)]
    return [device for code, device in answers if code == SUCCESS]


def compute_profiles(gi: Any) -> dict[int, Any]:
    """Enum → version 2 of every compute instance profile that this GPU instance has."""
    structure = pynvml.c_nvmlComputeInstanceProfileInfo_v2_t
    function = "nvmlGpuInstanceGetComputeInstanceProfileInfoV"
    answers = {
        enum: read(structure, function, gi, enum, 0, version=2)
        for enum in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT)
    }
    return {enum: info for enum, (code, info) in answers.items() if code == SUCCESS}


def compute_instances(gi: Any) -> list[Any]:
    """The handles of all compute instances in a GPU instance, each once."""
    found: dict[int, Any] = {}
    for info in compute_profiles(gi).values():
        array, count = (pynvml.c_nvmlComputeInstance_t * max(info.instanceCount, 1))(), ctypes.c_uint()
        get("nvmlGpuInstanceGetComputeInstances", gi, info.id, array, ctypes.byref(count))
        for each in array[: count.value]:
            handle = ctypes.cast(each, pynvml.c_nvmlComputeInstance_t)
            found[get("nvmlComputeInstanceGetInfo", handle).id] = handle
    return list(found.values())


def create(gpu: Any, profile: Profile, start: int, size: int) -> tuple[int, Any]:
    """Make a GPU instance there; return the code and, on success, its handle."""
    placement = pynvml.c_nvmlGpuInstancePlacement_t(start, size)
    gi = pynvml.c_nvmlGpuInstance_t()
    code = call("nvmlDeviceCreateGpuInstanceWithPlacement", gpu, profile.id, ctypes.byref(placement), ctypes.byref(gi))
    return code, gi


def fill(gi: Any, slices: int) -> tuple[int, Any]:
    """Make the compute instance of so many slices; return the code and, on success, its handle."""
    ci = pynvml.c_nvmlComputeInstance_t()
    info = next(info for info in compute_profiles(gi).values() if info.sliceCount == slices)
    return call("nvmlGpuInstanceCreateComputeInstance", gi, info.id, ctypes.byref(ci)), ci


@contextmanager
def gpu_instance(gpu: Any, profile: Profile, place: tuple[int, int]) -> Iterator[Any]:
    """A GPU instance for as long as it is needed: afterwards it is gone with all that is in it, whatever happened."""
    code, gi = create(gpu, profile, *place)
    assert code == SUCCESS, f"{profile.name} at {place} could not be made: code {code}"
    id_ = get("nvmlGpuInstanceGetInfo", gi).id
    try:
        yield gi
    finally:
        code, still = read(pynvml.c_nvmlGpuInstance_t, "nvmlDeviceGetGpuInstanceById", gpu, id_)
        if code != NOT_FOUND:  # a handle that is not stale for sure is better than an instance left behind
            rest = still if code == SUCCESS else gi
            for ci in compute_instances(rest):
                call("nvmlComputeInstanceDestroy", ci)
            call("nvmlGpuInstanceDestroy", rest)
