"""What a process costs, as the kernel counts it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds and wake-ups since the process began, and its memory now. A thread wakes as often as it went to sleep."""

    cpu_s: float
    loop_wakes: int
    """Of the first thread alone: in our processes, the event loop."""
    all_wakes: int
    resident_bytes: int

    @classmethod
    def of(cls, pid: int) -> "Cost":
        """Read it now."""
        root = Path(f"/proc/{pid}")
        fields = (root / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # utime and stime, counted from the state behind the name
        pages = int((root / "statm").read_text(encoding="ascii").split()[1])
        wakes = {task.name: _sleeps(task) for task in (root / "task").iterdir()}
        return cls(
            cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
            loop_wakes=wakes[str(pid)],
            all_wakes=sum(wakes.values()),
            resident_bytes=pages * os.sysconf("SC_PAGESIZE"),
        )


def _sleeps(task: Path) -> int:
    lines = (task / "status").read_text(encoding="utf-8").splitlines()
    return int(next(each for each in lines if each.startswith("voluntary_ctxt_switches")).split()[1])
