"""What goes wrong on a simulated node: sick hardware, a sick driver, and faults in single calls.

Promise: what is set here strikes every process of the node from its next call on, and lasts until it is mended as on a real
machine, or cleared. What each state refuses stands in `trouble.c`; the text form of faults, also for one process alone by
the environment variable `SIMGPU_FAULTS`, in `faults.py`.
"""

from __future__ import annotations

import ctypes
import fnmatch

from simgpu import door, faults, layout
from simgpu.administration import Administration
from simgpu.errors import SimGpuError
from simgpu.state import place


class Calamities(Administration):
    """The part of a node that bad luck changes, and the counters that show who touched the hardware."""

    def lose(self, gpu_index: int) -> None:
        """Let the GPU fall off the bus: every call about it says GPU_IS_LOST, until a reset, a reboot or a swap."""
        with self._file.locked(gpu_index) as raw:
            raw.lost = 1

    def require_reset(self, gpu_index: int) -> None:
        """Let the GPU refuse with RESET_REQUIRED whatever touches its hardware, until a reset, a reboot or a swap."""
        with self._file.locked(gpu_index) as raw:
            raw.reset_required = 1

    def mismatch(self, on: bool) -> None:  # noqa: FBT001 - the one thing that is set
        """Let library and driver differ in version, or no more: LIB_RM_VERSION_MISMATCH from nvmlInit and system calls.

        A reboot and an upgrade of the driver end it, too.
        """
        self._file.state.mismatch = on

    def inject(
        self,
        *,
        function: str | None = None,
        gpu: int | None = None,
        code: int = 0,
        times: int | None = None,
        block_ms: int = 0,
        after: bool = False,
    ) -> None:
        """Let the next `times` calls (None: all, until cleared) block, or return `code`, or first one and then the other.

        `function`, which may hold `*`, and `gpu` narrow it; calls that name no GPU are hit only when `gpu` is None. The
        call has no effect when `code` is not 0, unless `after`: then its work is done before the fault strikes. Faults
        are tried in the order of their injection, one a call. Raises SimGpuError.
        """
        names = door.functions()
        chosen = [
            number for number, name in enumerate(names) if function is None or fnmatch.fnmatchcase(name, function)
        ]
        if not chosen:
            raise SimGpuError(f"the simulated library has no function {function!r}")
        if after and not (chosen := [number for number in chosen if door.has_effect(number)]):
            raise SimGpuError(f"{function!r} changes nothing, so no fault can strike after it; leave out `after`")
        mask = sum(1 << number for number in chosen)
        words = [mask >> 64 * index & (1 << 64) - 1 for index in range(layout.FUNCTION_WORDS)]
        self._add(
            layout.Fault(
                functions=(ctypes.c_uint64 * layout.FUNCTION_WORDS)(*words),
                gpu=layout.ANY if gpu is None else gpu,
                code=code,
                times=-1 if times is None else times,
                block_ms=block_ms,
                after=after,
            )
        )

    def inject_text(self, text: str) -> None:
        """Add the faults that a text asks for; its form stands in `faults.py`. Raises SimGpuError."""
        self._add(*door.read_faults(text))

    def _add(self, *added: layout.Fault) -> None:
        """Put all of them into the table, or none."""
        state = self._file.state
        for slot in state.faults:
            if slot.used and slot.times == 0 and not slot.block_ms:  # no call can be asleep on it any more
                slot.used = 0
        if sum(not slot.used for slot in state.faults) < len(added):
            raise SimGpuError(f"at most {layout.FAULTS} faults can wait at once; clear some")
        for fault in added:
            state.fault_serial += 1
            fault.serial = state.fault_serial
            place(state.faults, fault)

    @property
    def faults(self) -> tuple[faults.Fault, ...]:
        """Return the faults that still strike, in the order in which they are tried."""
        return tuple(faults.seen(raw) for raw in self._file.state.faults if raw.used and raw.times)

    def clear_faults(self) -> None:
        """Forget all faults; calls that block because of one go on within some 20 ms. Sick states stay."""
        for fault in self._file.state.faults:
            fault.used = 0

    def calls(self) -> dict[str, int]:
        """Return how often each NVML function was entered since `reset_calls`, by any process; never-called ones left out."""
        counts = list(self._file.state.calls)
        return {name: counts[number] for number, name in enumerate(door.functions()) if counts[number]}

    def reset_calls(self) -> None:
        """Set all call counters to zero."""
        ctypes.memset(self._file.state.calls, 0, ctypes.sizeof(self._file.state.calls))
