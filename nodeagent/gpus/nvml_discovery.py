"""What the driver says of one GPU before anything is on it: its MIG mode, and what it can be cut into.

Everything is discovered: names, sizes, places and counts come from the driver and stand in no table of ours. These functions only
read; `nvml` decides when.
"""

from ctypes import byref, c_uint
from typing import Any

from mig.migspec import MigMode
from mig.placements import GpuShape, ProfileOffer, Window, grid_width
from mig.profiles import ProfileNameError, parse_profile
from nodeagent.gpus.driver import GpuUnavailable
from nodeagent.gpus.nvml_calls import Nvml, pynvml


def mig_mode(nvml: Nvml, handle: Any) -> tuple[MigMode, bool]:
    """The mode, and whether MIG is on right now: until its reset a GPU may still hold instances."""
    modes = nvml.supported("nvmlDeviceGetMigMode", handle)
    if modes is None:
        return MigMode.UNSUPPORTED, False
    current, pending = modes
    enabled = current == pynvml.NVML_DEVICE_MIG_ENABLE
    if current != pending:
        return MigMode.PENDING_RESET, enabled
    return (MigMode.ENABLED if enabled else MigMode.DISABLED), enabled


def shape(nvml: Nvml, handle: Any) -> GpuShape:
    """Every profile that the GPU offers, with its places; where MIG is off the driver offers none."""
    offers: dict[str, ProfileOffer] = {}
    for gi_enum in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        info = nvml.supported("nvmlDeviceGetGpuInstanceProfileInfo", handle, gi_enum)
        if info is None:
            continue
        offer = _offered(nvml, handle, info)
        offers.setdefault(str(offer.profile), offer)
    found = tuple(sorted(offers.values(), key=lambda offer: offer.profile))
    return GpuShape(grid_width(found), found)


def _offered(nvml: Nvml, handle: Any, info: Any) -> ProfileOffer:
    name = info.name.decode() if isinstance(info.name, bytes) else str(info.name)
    try:
        profile = parse_profile(name.removeprefix("MIG").strip())
    except ProfileNameError as error:
        # Skipping it would hide instances of it, and with them room that is taken.
        raise GpuUnavailable(f"the driver offers a profile that this version cannot read: {error}") from error
    windows = _placements(nvml, handle, info.id)
    return ProfileOffer(
        profile=profile,
        profile_id=info.id,
        size=windows[0].size if windows else 0,
        starts=tuple(window.start for window in windows),
        max_instances=info.instanceCount,
        memory_mib=info.memorySizeMB,
        engines={
            "copy": info.copyEngineCount,
            "decoder": info.decoderCount,
            "encoder": info.encoderCount,
            "jpeg": info.jpegCount,
            "ofa": info.ofaCount,
        },
    )


def _placements(nvml: Nvml, handle: Any, profile_id: int) -> list[Window]:
    function = "nvmlDeviceGetGpuInstancePossiblePlacements"
    count = c_uint(0)
    nvml.call(function, handle, profile_id, None, byref(count))
    if count.value == 0:
        return []
    array = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    nvml.call(function, handle, profile_id, array, byref(count))
    return sorted(Window(item.start, item.size) for item in array[: count.value])
