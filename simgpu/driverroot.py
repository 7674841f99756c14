"""What NVIDIA's user space reads beside the library: the files of `/proc`, `/dev` and `/usr/lib` on a machine with a driver.

Why: CDI, device nodes and the GPU operator's driver container are about those files, so they have to be there to be tested.
Promise: names, formats and the numbers of MIG's capabilities are the driver's own (its public kernel sources, the MIG user
guide); the library is a whole one, so the folder serves as the root of a driver container. Not here: device nodes that
can be opened, since making them takes privileges (plain empty files stand in for them), and the files that come and go with
an instance: every capability that an instance on these GPUs can need has its node from the start.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from simgpu import layout

# The kernel driver numbers capabilities once for as many GPUs, GPU instances and compute instances as it can ever have.
CAPABILITY_GPUS = 32
CAPABILITY_GIS = 15
CAPABILITY_CIS = 8
CONFIG, MONITOR, FIRST_ACCESS = 1, 2, 3

LIBRARIES = Path("usr", "lib", f"{platform.machine()}-linux-gnu")
DEVICES = ("nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools")

_INFORMATION = """\
Model: \t\t {name}
IRQ:   \t\t {irq}
GPU UUID: \t {uuid}
Video BIOS: \t 92.00.45.00.03
Bus Type: \t PCIe
DMA Size: \t 47 bits
DMA Mask: \t 0x7fffffffffff
Bus Location: \t {address}
Device Minor: \t {minor}
GPU Firmware: \t {driver}
GPU Excluded:\t No
"""


def capability_minor(gpu: int, gi: int, ci: int | None = None) -> int:
    """Return the minor number of `/dev/nvidia-caps/nvidia-cap<N>` for an instance, by the GPU's own minor number."""
    instance = FIRST_ACCESS + (gpu * CAPABILITY_GIS + gi) * (CAPABILITY_CIS + 1)
    return instance if ci is None else instance + 1 + ci


def write(root: Path, state: layout.State, *, library: Path) -> None:
    """Make the root anew, as the driver makes it for these GPUs when it is loaded; what was there before is gone."""
    shutil.rmtree(root, ignore_errors=True)
    for name, content in {**_proc(state), **dict.fromkeys(_devices(state), "")}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    _install(root / LIBRARIES, library, version=state.driver_version.decode())


def remove(root: Path) -> None:
    """Take away what is there only while the driver is loaded; its library and the device nodes stay."""
    shutil.rmtree(root / "proc", ignore_errors=True)


def _gpus(state: layout.State) -> list[layout.Gpu]:
    return list(state.gpus[: state.gpu_count])


def pci_address(gpu: layout.Gpu) -> str:
    """Return the address as Linux writes it, `0000:10:00.0`; NVML writes eight digits in front."""
    return f"{gpu.pci_domain:04x}:{gpu.pci_bus:02x}:{gpu.pci_device:02x}.0"


def _proc(state: layout.State) -> dict[str, str]:
    driver = state.driver_version.decode()
    files = {
        "proc/driver/nvidia/version": f"NVRM version: NVIDIA UNIX Open Kernel Module for {platform.machine()}  {driver}\n",
        "proc/driver/nvidia-caps/mig-minors": "".join(f"{line}\n" for line in _minors()),
        "proc/driver/nvidia/capabilities/mig/config": _capability(CONFIG),
        "proc/driver/nvidia/capabilities/mig/monitor": _capability(MONITOR),
    }
    for minor, gpu in enumerate(_gpus(state)):
        files[f"proc/driver/nvidia/gpus/{pci_address(gpu)}/information"] = _INFORMATION.format(
            name=gpu.name.decode(),
            irq=100 + minor,
            uuid=gpu.uuid.decode(),
            address=pci_address(gpu),
            minor=minor,
            driver=driver,
        )
    return files


def _minors() -> Iterator[str]:
    yield f"config {CONFIG}"
    yield f"monitor {MONITOR}"
    for gpu in range(CAPABILITY_GPUS):
        for gi in range(CAPABILITY_GIS):
            yield f"gpu{gpu}/gi{gi}/access {capability_minor(gpu, gi)}"
            for ci in range(CAPABILITY_CIS):
                yield f"gpu{gpu}/gi{gi}/ci{ci}/access {capability_minor(gpu, gi, ci)}"


def _capability(minor: int) -> str:
    return f"DeviceFileMinor: {minor}\nDeviceFileMode: 256\nDeviceFileModify: 1\n"  # 256: 0400, root alone


def _devices(state: layout.State) -> Iterator[str]:
    yield from (f"dev/{name}" for name in DEVICES)
    yield from (f"dev/nvidia-caps/nvidia-cap{minor}" for minor in (CONFIG, MONITOR))
    for minor, gpu in enumerate(_gpus(state)):
        yield f"dev/nvidia{minor}"
        for gi, slices in _instances(gpu).items():
            yield f"dev/nvidia-caps/nvidia-cap{capability_minor(minor, gi)}"
            yield from (f"dev/nvidia-caps/nvidia-cap{capability_minor(minor, gi, ci)}" for ci in range(slices))


def _instances(gpu: layout.Gpu) -> dict[int, int]:
    """Return the ids that a GPU instance on this GPU can have, each with the most compute instances that it can hold."""
    slices: dict[int, int] = {}
    for profile in gpu.profiles[: gpu.profile_count]:
        for place in profile.placements[: profile.placement_count]:
            slices[place.gi_id] = max(slices.get(place.gi_id, 0), profile.slices)
    return slices


def _install(folder: Path, library: Path, *, version: str) -> None:
    """The library under the names that an installed driver has; that of CUDA is empty, and there to be found."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(library, folder / f"libnvidia-ml.so.{version}")
    (folder / f"libcuda.so.{version}").touch()
    for name in ("libnvidia-ml.so", "libcuda.so"):
        (folder / f"{name}.1").symlink_to(f"{name}.{version}")
