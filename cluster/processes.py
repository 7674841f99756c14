"""Which process is meant: an identity that survives neither a reused pid nor a reboot.

A pid alone may belong to somebody else by the time it is read from a file. With the process's start time and the boot it
belongs to, it cannot be mistaken. Only Linux's /proc is read.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
START_TIME_FIELD: Final = 22
"""Of /proc/PID/stat, counted from 1; in clock ticks since boot. The first fields are the pid and the name in brackets."""


def identity(pid: int) -> str | None:
    """Return what tells this process from any other that ever had its pid, or None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = stat.rpartition(")")[2].split()
    if after_name[0] in {"Z", "X"}:  # dead, only not yet reaped
        return None
    return f"{after_name[START_TIME_FIELD - 3]} {BOOT_ID.read_text(encoding='ascii').strip()}"


def record(folder: Path, pid: int) -> None:
    """Note a process that we started, so that a later run can end it."""
    known = identity(pid)
    if known is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(pid)).write_text(known, encoding="ascii")


def forget(folder: Path, pid: int) -> None:
    """Drop the note of a process that was reaped."""
    (folder / str(pid)).unlink(missing_ok=True)


def end_recorded(folder: Path) -> list[int]:
    """Kill the noted processes, with the groups that they lead, that still are the ones that were noted."""
    ended = []
    for note in folder.glob("[0-9]*"):
        pid = int(note.name)
        if identity(pid) == note.read_text(encoding="ascii"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
                ended.append(pid)
    return ended
