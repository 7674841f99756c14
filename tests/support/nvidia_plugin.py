"""What NVIDIA's device plugin does in the mixed strategy, as a process: `python -m tests.support.nvidia_plugin DIRECTORY`.

It enumerates the MIG devices by NVML once, when it starts; ends with an error where a GPU instance holds a compute instance that
does not fill it; registers one resource a profile, on sockets named after it; a device's id is its UUID, and a container is told
it in `NVIDIA_VISIBLE_DEVICES`. When the kubelet restarts it registers again what it once found.
"""

import asyncio
import contextlib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from nodeagent.kubelet.registration import Identity, identity
from tests.support.plain_plugin import PlainPlugin

pynvml: Final[Any] = import_module("pynvml")

LOOK_S = 0.1


def enumerated() -> dict[str, list[str]]:
    """The UUIDs of all MIG devices, by resource. Ends the process on one that is not a whole GPU instance."""
    found: dict[str, list[str]] = {}
    pynvml.nvmlInit()
    for index in range(pynvml.nvmlDeviceGetCount()):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            try:
                device = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, number)
            except pynvml.NVMLError_NotFound:
                continue
            profile = pynvml.nvmlDeviceGetName(device).rpartition(" MIG ")[2]
            if profile.partition(".")[0].endswith("c"):
                sys.exit(f"error getting resource names: invalid MIG profile {profile!r}")
            resource = f"nvidia.com/mig-{profile.replace('+', '.')}"
            found.setdefault(resource, []).append(pynvml.nvmlDeviceGetUUID(device))
    return found


async def serve(directory: Path) -> None:
    """Enumerate, then serve for ever."""
    devices = enumerated()
    print(f"enumerated {devices}", flush=True)  # noqa: T201 - the process's log
    kubelet = directory / "kubelet.sock"
    while True:
        registered_with = identity(kubelet)
        async with contextlib.AsyncExitStack() as servers:
            for resource, ids in devices.items():
                plugin = PlainPlugin(
                    directory,
                    resource=resource,
                    devices=ids,
                    socket=f"nvidia-{resource.removeprefix('nvidia.com/')}.sock",
                    variable="NVIDIA_VISIBLE_DEVICES",
                )
                await servers.enter_async_context(plugin.serving())
            print("registered", flush=True)  # noqa: T201 - as above
            await _restart_of(kubelet, registered_with)


async def _restart_of(kubelet: Path, registered_with: Identity | None) -> None:
    while True:
        if identity(kubelet) not in {registered_with, None}:
            return
        await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
