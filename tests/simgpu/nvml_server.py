"""A process that loads the library through the unmodified pynvml and does what its parent says, line by line.

Requests and answers are JSON objects on stdin and stdout. Handles stay here and are named by numbers. Run by `nvml.py`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

pynvml: Any = importlib.import_module("pynvml")  # it has no types
_handles: list[Any] = []


def _outward(value: Any) -> Any:
    """Return the value as JSON: structures as objects, handles as numbers."""
    if isinstance(value, ctypes._Pointer):
        _handles.append(value)
        return {"handle": len(_handles) - 1}
    if isinstance(value, ctypes.Structure):
        return {name: _outward(getattr(value, name)) for name, *_ in value._fields_}
    if isinstance(value, pynvml.nvmlFriendlyObject):
        return {name: _outward(each) for name, each in vars(value).items()}
    if isinstance(value, ctypes._SimpleCData):
        return value.value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple):
        return [_outward(each) for each in value]
    return value


def _inward(value: Any) -> Any:
    return _handles[value["handle"]] if isinstance(value, dict) else value


def placements(device: Any, profile_id: int) -> list[tuple[int, int]]:
    count = ctypes.c_uint()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(device, profile_id, None, ctypes.byref(count))
    array = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(device, profile_id, array, ctypes.byref(count))
    return [(place.start, place.size) for place in array]


def create_at(device: Any, profile_id: int, start: int, size: int) -> Any:
    placement = pynvml.c_nvmlGpuInstancePlacement_t(start, size)
    return pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(device, profile_id, ctypes.byref(placement))


def _listed(call: Callable[..., Any], parent: Any, profile_id: int, handle_type: Any) -> list[Any]:
    array, count = (handle_type * 8)(), ctypes.c_uint()
    call(parent, profile_id, array, ctypes.byref(count))
    # An element of the array is a view into it; a copy outlives the next call.
    return [ctypes.cast(array[i], handle_type) for i in range(count.value)]


def gpu_instances(device: Any, profile_id: int) -> list[Any]:
    return _listed(pynvml.nvmlDeviceGetGpuInstances, device, profile_id, pynvml.c_nvmlGpuInstance_t)


def compute_instances(gpu_instance: Any, profile_id: int) -> list[Any]:
    return _listed(pynvml.nvmlGpuInstanceGetComputeInstances, gpu_instance, profile_id, pynvml.c_nvmlComputeInstance_t)


def in_threads(device: Any, profile_id: int, starts: list[int]) -> list[int]:
    """Create one instance a thread, all at once; return each thread's nvmlReturn_t."""
    barrier = threading.Barrier(len(starts))

    def one(start: int) -> int:
        barrier.wait()
        try:
            create_at(device, profile_id, start, 1)
        except pynvml.NVMLError as error:
            return int(error.value)
        return 0

    with ThreadPoolExecutor(len(starts)) as pool:
        return list(pool.map(one, starts))


def churn(device: Any, seed: int) -> None:
    """Create and destroy at random until killed."""
    rng = random.Random(seed)
    made: list[tuple[Any, Any]] = []
    while True:
        profile, compute_profile, starts, size = rng.choice(
            [(19, 0, range(7), 1), (14, 1, range(0, 6, 2), 2), (9, 2, range(0, 8, 4), 4)]
        )
        try:
            instance = create_at(device, profile, rng.choice(starts), size)
            made.append((instance, pynvml.nvmlGpuInstanceCreateComputeInstance(instance, compute_profile)))
        except pynvml.NVMLError_InsufficientResources:
            instance, compute = made.pop(rng.randrange(len(made)))
            pynvml.nvmlComputeInstanceDestroy(compute)
            pynvml.nvmlGpuInstanceDestroy(instance)


def raw(function: str, handle: Any, *numbers: int, size: int = 256, version: int = 0) -> str:
    """Call with a buffer that starts with a version word, as bindings newer than pynvml do; answer it in hex."""
    buffer = ctypes.create_string_buffer(size)
    ctypes.memmove(buffer, version.to_bytes(4, "little"), 4)
    code = getattr(ctypes.CDLL("libnvidia-ml.so.1"), function)(handle, *map(ctypes.c_uint, numbers), buffer)
    if code:
        raise pynvml.NVMLError(code)
    return buffer.raw.hex()


_EXTRAS = {f.__name__: f for f in (placements, create_at, gpu_instances, compute_instances, in_threads, churn, raw)}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    call = _EXTRAS.get(request["call"]) or getattr(pynvml, request["call"])
    try:
        return {"result": _outward(call(*map(_inward, request["args"]), **request["named"]))}
    except pynvml.NVMLError as error:
        return {"error": error.value}


for line in sys.stdin:
    print(json.dumps(_answer(json.loads(line))), flush=True)  # noqa: T201 - the protocol is stdout
