"""What administrators and their tools do to a simulated node, behind the back of NVML's clients.

Promise: instances are made and destroyed by the rules of MIG, by the same code as NVML's; every process of the node sees
each change at once. Calls block for microseconds, or until the simulated hardware is done.
"""

from __future__ import annotations

import ctypes

from simgpu import door, driverroot, drivers, image, layout
from simgpu.build import library
from simgpu.errors import UnknownGpuError
from simgpu.state import write
from simgpu.workloads import Workloads


class Administration(Workloads):
    """The part of a node that its administrator changes."""

    def create_foreign(self, gpu_index: int, profile: str, start: int, *, with_ci: bool = True) -> int:
        """Create an instance at the given memory slice, and return its GI id. Raises UnknownGpuError, RefusedError."""
        profiles = self._file.state.gpus[gpu_index].profiles
        known = {p.name.decode().removeprefix("MIG "): p.id for p in profiles if p.name}
        if profile not in known:
            raise UnknownGpuError(f"GPU {gpu_index} has no profile {profile!r}; it has {', '.join(known)}")
        gi = ctypes.c_uint()
        arguments = (gpu_index, known[profile], start, int(with_ci))
        door.ask("simgpu_create", self.directory, *arguments, ctypes.byref(gi))
        return gi.value

    def destroy(self, gpu_index: int, gi_id: int) -> None:
        """Destroy an instance and the compute instances in it. Raises RefusedError (code 19) while one is in use."""
        door.ask("simgpu_destroy", self.directory, gpu_index, gi_id)

    def set_mig_mode(self, gpu_index: int, enabled: bool) -> int:  # noqa: FBT001 - the one thing that is set
        """Ask for a MIG mode and return the activation status: 0 in force, 16 waits for a reset, 19 GPU in use."""
        activation = ctypes.c_int()
        door.ask("simgpu_set_mig_mode", self.directory, gpu_index, int(enabled), ctypes.byref(activation))
        return activation.value

    def reset(self, gpu_index: int) -> None:
        """Reset one GPU: its instances are gone, a pending MIG mode is in force, what made it sick is over.

        Processes on it are not asked.
        """
        with self._file.quiet(gpu_index) as raw:
            _restart(raw)
            raw.lost = raw.reset_required = 0

    def reboot(self) -> None:
        """Reboot: as a reset of every GPU, with the driver loaded and fitting its library; the boot id is new.

        MIG mode persists. (On Hopper and later a real driver starts with MIG off; the service that switches it on again
        at boot, as fleets run it, is taken as having done so.) Clients that go on running see no reboot but its effects.
        """
        for index in self._indices():
            self.reset(index)
        state = self._file.state
        if state.unloaded:
            self.load_driver()
        state.mismatch = 0
        state.boot_count += 1
        write(self.directory / "boot_id", image.boot_id(self.identity, state.boot_count).encode())

    def swap(self, gpu_index: int, model: str | None = None, *, mig_enabled: bool | None = None) -> None:
        """Put another GPU in the place, of the same product or another model: empty, sound, with a UUID of its own.

        Index and PCI address stay. A handle of the GPU that was there says that it is lost. MIG mode is as it was, unless
        said. Raises UnknownGpuError.
        """
        with self._file.quiet(gpu_index) as raw:
            image.install_gpu(
                self._file.state,
                index=gpu_index,
                name=model or raw.name.decode(),
                mig=bool(raw.mig_current) if mig_enabled is None else mig_enabled,
                identity=self.identity,
            )
        self._install_files()

    def unload_driver(self) -> None:
        """Unload the driver: no call is answered, in no process, and all instances are gone."""
        self._file.state.unloaded = 1
        for index in self._indices():
            with self._file.quiet(index) as raw:
                _restart(raw)
        driverroot.remove(self.root)

    def load_driver(self) -> None:
        """Load the driver, again if it is loaded: MIG mode is as before, instances are gone.

        A client has to end its NVML session and begin another; a GPU that was lost or needs a reset still does.
        """
        self.unload_driver()
        self._install_files()
        self._file.state.driver_epoch += 1
        self._file.state.unloaded = 0

    def upgrade_driver(self, version: str, *, cuda_version: int | None = None) -> None:
        """Install a driver of another version and load it: module and library fit each other.

        Profiles keep ids and places, and may change names and memory, or be there only from then on. Raises SimGpuError.
        """
        drivers.checked(version)
        self.unload_driver()
        state = self._file.state
        state.mismatch = 0
        image.install_driver(state, version=version, cuda_version=cuda_version or state.cuda_version)
        self.load_driver()

    def _install_files(self) -> None:
        driverroot.write(self.root, self._file.state, library=library())


def _restart(raw: layout.Gpu) -> None:
    for gi in raw.gis:
        gi.used = 0
    for hold in raw.holds:
        hold.used = 0
    raw.mig_current = raw.mig_pending
