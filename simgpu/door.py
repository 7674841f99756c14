"""The C library, loaded into this process: what Python asks it for beside NVML.

Why: the rules of MIG, the names of the functions and the form of a fault's text exist once, in C. Nothing here is an NVML
call, so nothing is counted, and one process may serve many nodes.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

from simgpu import layout
from simgpu.build import library
from simgpu.errors import RefusedError, SimGpuError

SENTENCE = 256  # bytes of a complaint about a fault's text


@functools.cache
def _library() -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(library()))
    loaded.nvmlErrorString.restype = ctypes.c_char_p
    loaded.simgpu_function_name.restype = ctypes.c_char_p
    return loaded


@functools.cache
def functions() -> tuple[str, ...]:
    """Return the names of all NVML functions that the library has, each at the index by which the state file counts it."""
    names: list[str] = []
    while (name := _library().simgpu_function_name(len(names))) is not None:
        names.append(name.decode())
    return tuple(names)


def has_effect(function: int) -> bool:
    """Return whether the function with this number changes something, so that a fault can strike after it."""
    return bool(_library().simgpu_has_effect(function))


def ask(function: str, directory: Path, *arguments: object) -> None:
    """Call one of the functions of `admin.c` on a node. Raises RefusedError with the driver's code."""
    code = getattr(_library(), function)(os.fsencode(directory), *arguments)
    if code != 0:
        reason = _library().nvmlErrorString(code).decode()
        raise RefusedError(f"the simulated driver refused {function}{arguments[:3]}: {reason} ({code})", code=code)


def read_faults(text: str) -> list[layout.Fault]:
    """Return the faults that the text asks for; its form stands in `faultspec.c`. Raises SimGpuError."""
    table = (layout.Fault * layout.FAULTS)()
    sentence = ctypes.create_string_buffer(SENTENCE)
    count = _library().simgpu_read_faults(text.encode(), table, sentence, len(sentence))
    if count < 0:
        raise SimGpuError(f"cannot read the faults {text!r}: {sentence.value.decode()}")
    return list(table[:count])
