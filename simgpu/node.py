"""One simulated node: make it, look at its hardware, and do to it what the world does.

Why: tests and the demo need GPUs on machines that have none. Promise: what is read here comes straight from the state
that the library works on, with no NVML call; what is done here (foreign instances, processes, reboots, faults) is
what an administrator, a workload or bad luck would do on a real machine, and is seen by every process of the node at once.
Calls block for microseconds, or until the simulated hardware is done. What the library itself does stands in the C files.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from simgpu import driverroot, image, layout
from simgpu.build import library
from simgpu.errors import RefusedError, SimGpuError, UnknownGpuError
from simgpu.snapshot import Gpu, read_gpu
from simgpu.state import StateFile, start_time

DRIVER_VERSION = "580.95.05"
CUDA_VERSION = 13000  # 1000 * major + 10 * minor
PROCESS_MIB = 512


class SimNode:
    """A node's simulated GPUs. Any number of these objects, in any number of processes, may look at one folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._file = StateFile(self.directory)

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        gpus: Sequence[str] = ("a100-80gb",),
        mig_enabled: bool | Sequence[bool] = True,
        driver_version: str = DRIVER_VERSION,
        cuda_version: int = CUDA_VERSION,
        latencies: bool = False,
        identity: str | None = None,
    ) -> Self:
        """Make a node in the folder, which may exist but hold no node.

        `gpus` names models or products of the tables; `mig_enabled` is for all GPUs or one flag each. With `latencies`
        changes take as long as on hardware. All UUIDs derive from `identity`, by default the folder's path.
        Raises UnknownGpuError, or FileExistsError.
        """
        directory = directory.resolve()
        flags = [mig_enabled] * len(gpus) if isinstance(mig_enabled, bool) else list(mig_enabled)
        if len(flags) != len(gpus):
            raise UnknownGpuError(f"mig_enabled has {len(flags)} flags for {len(gpus)} GPUs; give one flag each")
        identity = identity or str(directory)
        state = image.build(
            image.Node(
                identity=identity,
                gpus=gpus,
                mig=flags,
                driver_version=driver_version,
                cuda_version=cuda_version,
                latencies=latencies,
            )
        )
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "state").exists():
            raise FileExistsError(f"{directory} holds a simulated node already; open it, or choose another folder")
        (directory / "identity").write_text(identity, encoding="utf-8")
        _write(directory / "boot_id", image.boot_id(identity, 0).encode())
        driverroot.write(directory / "root", state, library=library())
        _write(directory / "state", bytes(state))
        return cls(directory)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the node that the folder holds. Raises FileNotFoundError or SimGpuError."""
        return cls(directory)

    def environment(self) -> dict[str, str]:
        """Return the variables under which a process finds the library and this node; compiles the library if need be."""
        paths = [str(library().parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": ":".join(paths), "SIMGPU_STATE": str(self.directory)}

    @property
    def root(self) -> Path:
        """Return the folder that stands for `/` where the driver is installed: its library, `/proc` and `/dev`."""
        return self.directory / "root"

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Return what is on each GPU now."""
        return tuple(self._read(index) for index in range(self._file.state.gpu_count))

    @property
    def boot_id(self) -> str:
        """Return the id of the present boot, which is also in the folder's file `boot_id`."""
        return (self.directory / "boot_id").read_text(encoding="utf-8")

    def _read(self, index: int) -> Gpu:
        with self._file.locked(index) as gpu:
            return read_gpu(gpu, index=index)

    # ---- what workloads do ----

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
                _place(raw.holds, hold)
            return
        raise UnknownGpuError(f"{self.directory} has no device {uuid} now")

    def release(self, pid: int) -> None:
        """Let the process use nothing any more."""
        for index in range(self._file.state.gpu_count):
            with self._file.locked(index) as raw:
                for hold in raw.holds:
                    if hold.pid == pid:
                        hold.used = 0

    # ---- what administrators do ----

    def create_foreign(self, gpu_index: int, profile: str, start: int, *, with_ci: bool = True) -> int:
        """Create an instance at the given memory slice, and return its GI id. Raises UnknownGpuError, RefusedError."""
        profiles = self._file.state.gpus[gpu_index].profiles
        known = {p.name.decode().removeprefix("MIG "): p.id for p in profiles if p.name}
        if profile not in known:
            raise UnknownGpuError(f"GPU {gpu_index} has no profile {profile!r}; it has {', '.join(known)}")
        gi = ctypes.c_uint()
        self._ask("simgpu_create", gpu_index, known[profile], start, int(with_ci), ctypes.byref(gi))
        return gi.value

    def destroy(self, gpu_index: int, gi_id: int) -> None:
        """Destroy an instance and the compute instances in it. Raises RefusedError (code 19) while one is in use."""
        self._ask("simgpu_destroy", gpu_index, gi_id)

    def set_mig_mode(self, gpu_index: int, enabled: bool) -> int:  # noqa: FBT001 - the one thing that is set
        """Ask for a MIG mode and return the activation status: 0 in force, 16 waits for a reset, 19 GPU in use."""
        activation = ctypes.c_int()
        self._ask("simgpu_set_mig_mode", gpu_index, int(enabled), ctypes.byref(activation))
        return activation.value

    def reset(self, gpu_index: int) -> None:
        """Reset one GPU: its instances are gone and a pending MIG mode is in force. Processes on it are not asked."""
        with self._file.quiet(gpu_index) as raw:
            _clear(raw)

    def reboot(self) -> None:
        """Reboot: all instances are gone, pending MIG modes are in force, the boot id is new. MIG mode persists.

        (On Hopper and later a real driver starts with MIG off; the service that switches it on again at boot, as fleets
        run it, is taken as having done so.)
        """
        for index in range(self._file.state.gpu_count):
            with self._file.quiet(index) as raw:
                _clear(raw)
        state = self._file.state
        state.boot_count += 1
        identity = (self.directory / "identity").read_text(encoding="utf-8")
        _write(self.directory / "boot_id", image.boot_id(identity, state.boot_count).encode())

    # ---- what tests do ----

    def calls(self) -> dict[str, int]:
        """Return how often each NVML function was entered since `reset_calls`, by any process; never-called ones left out."""
        counts = list(self._file.state.calls)
        return {name: counts[number] for number, name in enumerate(_functions()) if counts[number]}

    def reset_calls(self) -> None:
        """Set all call counters to zero."""
        ctypes.memset(self._file.state.calls, 0, ctypes.sizeof(self._file.state.calls))

    def inject(
        self,
        *,
        function: str | None = None,
        gpu: int | None = None,
        code: int = 0,
        times: int | None = None,
        block_ms: int = 0,
    ) -> None:
        """Let the next `times` calls (None: all, until cleared) block, or return `code`, or first one and then the other.

        `function` and `gpu` narrow it; calls that name no GPU are hit only when `gpu` is None. The call has no effect when
        `code` is not 0. Faults are tried in the order of their injection, one a call.
        """
        functions = _functions()
        if function is not None and function not in functions:
            raise SimGpuError(f"the simulated library has no function {function!r}")
        state = self._file.state
        state.fault_serial += 1
        _place(
            state.faults,
            layout.Fault(
                function=layout.ANY if function is None else functions.index(function),
                gpu=layout.ANY if gpu is None else gpu,
                code=code,
                times=-1 if times is None else times,
                block_ms=block_ms,
                serial=state.fault_serial,
            ),
        )

    def clear_faults(self) -> None:
        """Forget all faults; calls that block because of one go on within some 20 ms."""
        for fault in self._file.state.faults:
            fault.used = 0

    def _ask(self, function: str, *arguments: object) -> None:
        call = getattr(_library(), function)
        code = call(os.fsencode(self.directory), *arguments)
        if code != 0:
            reason = _library().nvmlErrorString(code).decode()
            raise RefusedError(f"the simulated driver refused {function}{arguments[:3]}: {reason} ({code})", code=code)


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _clear(raw: layout.Gpu) -> None:
    for gi in raw.gis:
        gi.used = 0
    for hold in raw.holds:
        hold.used = 0
    raw.mig_current = raw.mig_pending


def _place(slots: ctypes.Array[layout.Hold] | ctypes.Array[layout.Fault], value: layout.Hold | layout.Fault) -> None:
    """Put the value into a free slot, its `used` flag last, so that no reader sees it half."""
    for slot in slots:
        if not slot.used:
            ctypes.memmove(ctypes.addressof(slot), ctypes.addressof(value), ctypes.sizeof(value))
            slot.used = 1
            return
    raise SimGpuError(f"all {len(slots)} slots are taken; release or clear some")


@functools.cache
def _library() -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(library()))
    loaded.nvmlErrorString.restype = ctypes.c_char_p
    loaded.simgpu_function_name.restype = ctypes.c_char_p
    return loaded


@functools.cache
def _functions() -> tuple[str, ...]:
    names: list[str] = []
    while (name := _library().simgpu_function_name(len(names))) is not None:
        names.append(name.decode())
    return tuple(names)
