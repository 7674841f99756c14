"""The mapped state file and its locks, from Python's side.

Promise: the same protocol as `state.c`: `flock` on a file per GPU, opened anew each time; `used` is written last when a
slot is filled. Python itself changes only what the rules of MIG do not govern (holds, faults, counters, a reboot);
instances are made and destroyed through the C library, by the same code as NVML's.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simgpu import layout
from simgpu.errors import SimGpuError


class StateFile:
    """One node's state, mapped for as long as this object lives. Reads of one GPU are consistent under `locked`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with (directory / "state").open("r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
        if len(memory) != ctypes.sizeof(layout.State):
            raise SimGpuError(f"{directory} holds the state of another version of simgpu; make the node anew")
        self.state = layout.State.from_buffer(memory)
        if (self.state.magic, self.state.layout) != (layout.MAGIC, layout.LAYOUT):
            raise SimGpuError(f"{directory} holds no state of this version of simgpu; make the node anew")

    @contextmanager
    def locked(self, index: int) -> Iterator[layout.Gpu]:
        """Give the GPU while nobody else reads or changes it: for microseconds, so keep it short."""
        with _flock(self._directory / f"gpu-{index}.lock"):
            yield self.state.gpus[index]

    @contextmanager
    def quiet(self, index: int) -> Iterator[layout.Gpu]:
        """Give the GPU as `locked` does, once no change is under way on its hardware either."""
        with _flock(self._directory / f"gpu-{index}.busy"), self.locked(index) as gpu:
            yield gpu


@contextmanager
def _flock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # aloud: a child forked meanwhile has a copy of the descriptor


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot, or None when it is gone (a zombie is gone, too)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])  # fields 3 and 22 of proc(5)


def place(slots: ctypes.Array[layout.Hold] | ctypes.Array[layout.Fault], value: layout.Hold | layout.Fault) -> None:
    """Put the value into a free slot, its `used` flag last, so that no reader sees it half. Raises SimGpuError."""
    for slot in slots:
        if not slot.used:
            ctypes.memmove(ctypes.addressof(slot), ctypes.addressof(value), ctypes.sizeof(value))
            slot.used = 1
            return
    raise SimGpuError(f"all {len(slots)} slots are taken; release or clear some")


def write(path: Path, content: bytes) -> None:
    """Write a file that others read, whole at any moment."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_bytes(content)
    unfinished.replace(path)
