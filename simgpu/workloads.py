"""What workloads do on a simulated node: hold a device, and let it go.

Why by hand: nothing runs on a simulated GPU, so a test says which process uses which device. Promise: the device is in use
until that process ends or is released, and the driver goes on saying so for `linger` longer, as a real one does.
"""

from __future__ import annotations

import time

from simgpu import layout
from simgpu.errors import UnknownGpuError
from simgpu.folder import NodeFolder
from simgpu.state import place, start_time

PROCESS_MIB = 512


class Workloads(NodeFolder):
    """The part of a node that processes see."""

    def hold(self, uuid: str, pid: int, *, memory_mib: int = PROCESS_MIB) -> None:
        """Let a living process use a MIG device, or a whole GPU, until it ends or is released.

        Raises UnknownGpuError when no device has the UUID, ProcessLookupError when there is no such process.
        """
        started = start_time(pid)
        if started is None:
            raise ProcessLookupError(f"no process {pid}")
        for gpu in self.gpus:
            ids = next(((gi.id, ci.id) for gi in gpu.instances for ci in gi.compute_instances if ci.uuid == uuid), None)
            if ids is None and gpu.uuid != uuid:
                continue
            with self._file.locked(gpu.index) as raw:
                hold = layout.Hold(pid=pid, started=started, memory_bytes=memory_mib << 20)
                hold.gi_id, hold.ci_id = ids or (layout.ANY, layout.ANY)
                hold.ci_serial = raw.gis[ids[0]].cis[ids[1]].serial if ids else 0
                _forget_what_is_over(raw)
                place(raw.holds, hold)
            return
        raise UnknownGpuError(f"{self.directory} has no device {uuid} now")

    def release(self, pid: int) -> None:
        """Let the process use nothing any more."""
        for index in self._indices():
            with self._file.locked(index) as raw:
                for hold in raw.holds:
                    if hold.used and hold.pid == pid and not hold.ended_ms:
                        hold.ended_ms = _now_ms()

    def linger(self, ms: int, *, gpu: int | None = None) -> None:
        """Let a device, here or on all GPUs, be IN_USE for so long after its process is released or seen to be dead.

        It counts for processes that are over already, too; 0, as at first, ends it.
        """
        for index in self._indices() if gpu is None else [gpu]:
            with self._file.locked(index) as raw:
                raw.linger_ms = ms


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000  # the clock that holds.c reads


def _forget_what_is_over(raw: layout.Gpu) -> None:
    for hold in raw.holds:
        if hold.used and not hold.ended_ms and start_time(hold.pid) != hold.started:
            hold.ended_ms = _now_ms()
        if hold.used and hold.ended_ms and hold.ended_ms + raw.linger_ms <= _now_ms():
            hold.used = 0
