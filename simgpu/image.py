"""The bytes of a node's state file, of a new node or of a new GPU in it. Pure: the same arguments give the same bytes."""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from simgpu import catalogue, drivers, layout
from simgpu.errors import UnknownGpuError

# Only to derive UUIDs from; any fixed value serves.
_NAMESPACE = uuid.UUID("6f1d2a52-9f0e-5d0b-8f63-6e2b51a7c0de")


@dataclass(frozen=True, kw_only=True)
class Node:
    """What a node is made of. `identity` is the text that all its UUIDs derive from; `mig` is one flag a GPU."""

    identity: str
    gpus: Sequence[str]
    mig: Sequence[bool]
    driver_version: str
    cuda_version: int
    latencies: bool


def boot_id(identity: str, count: int) -> str:
    """Return the boot id of the node's count-th boot, 0 the first."""
    return str(uuid.uuid5(_NAMESPACE, f"{identity}/boot/{count}"))


def build(node: Node) -> layout.State:
    """Return the state of the node before anything happened on it. Raises UnknownGpuError."""
    if not 1 <= len(node.gpus) <= layout.GPUS:
        raise UnknownGpuError(f"a node has 1 to {layout.GPUS} GPUs, not {len(node.gpus)}")
    state = layout.State(
        magic=layout.MAGIC, layout=layout.LAYOUT, gpu_count=len(node.gpus), latencies=bool(node.latencies)
    )
    install_driver(state, version=node.driver_version, cuda_version=node.cuda_version)
    for enum, slices in enumerate(catalogue.ci_slices()):
        state.ci_slices[enum] = slices
    for index, (name, mig) in enumerate(zip(node.gpus, node.mig, strict=True)):
        install_gpu(state, index=index, name=name, mig=mig, identity=node.identity)
    return state


def install_driver(state: layout.State, *, version: str, cuda_version: int) -> None:
    """Let the driver have this version, and what it says of the GPUs that are there follow it. Raises SimGpuError."""
    state.driver_version = drivers.checked(version).encode()
    state.nvml_version = f"{cuda_version // 1000}.{version}".encode()
    state.cuda_version = cuda_version
    for gpu in state.gpus[: state.gpu_count]:
        if gpu.model:
            _describe(gpu, state, model=catalogue.find(gpu.model.decode())[0])


def install_gpu(state: layout.State, *, index: int, name: str, mig: bool, identity: str) -> None:
    """Put a GPU that nobody has used into the place; one that was there is gone. Raises UnknownGpuError."""
    model, product = catalogue.find(name)
    gpu = state.gpus[index]
    generation = gpu.generation + 1 if gpu.model else 0
    own = uuid.uuid5(_NAMESPACE, f"{identity}/gpu/{index}" + (f"/{generation}" if generation else ""))
    fresh = layout.Gpu(
        uuid=f"GPU-{own}".encode(),
        name=product.encode(),
        model=model.id.encode(),
        serial_number=str(1_650_000_000_000 + own.int % 1_000_000_000).encode(),
        pci_bus=0x10 + index * 8,  # a place of its own for each, as in a server with a switch for every GPU
        generation=generation,
        linger_ms=gpu.linger_ms,
        serial=gpu.serial,
    )
    fresh.mig_capable = bool(model.profiles)
    fresh.mig_current = fresh.mig_pending = mig and bool(model.profiles)
    for gi in range(layout.GI_IDS):
        for ci in range(layout.CI_IDS):
            digest = uuid.uuid5(own, f"MIG/{gi}/{ci}").bytes
            ctypes.memmove(fresh.mig_uuids[gi][ci], digest, len(digest))
    _describe(fresh, state, model=model)
    state.gpus[index] = fresh


def _describe(gpu: layout.Gpu, state: layout.State, *, model: catalogue.Model) -> None:
    """Write down what the node's driver says of a GPU of the model."""
    shown = drivers.under_driver(model, state.driver_version.decode())
    gpu.pci_device_id = shown.pci_device_id
    gpu.architecture = shown.architecture
    gpu.cc_major, gpu.cc_minor = shown.compute_capability
    gpu.memory_mib = shown.memory_mib
    gpu.mig_needs_reset = shown.mode_needs_reset
    gpu.compute_slices = shown.compute_slices
    gpu.grid_width = shown.grid_width
    gpu.profile_count = len(shown.profiles)
    for index in range(layout.PROFILES):
        gpu.profiles[index] = layout.Profile()
    for slot, profile in zip(gpu.profiles, shown.profiles, strict=False):
        _fill_profile(slot, profile, latencies=bool(state.latencies))


def _fill_profile(slot: layout.Profile, profile: catalogue.Profile, *, latencies: bool) -> None:
    slot.name = f"MIG {profile.name}".encode()  # the driver's own spelling, prefix included
    for field in ("id", "gi_enum", "slices", "size", "instances", "media", "graphics", "memory_mib"):
        setattr(slot, field, getattr(profile, field))
    for field in ("sm", "copy", "decoder", "encoder", "jpeg", "ofa"):
        setattr(slot, field, getattr(profile.engines, field))
    slot.ci_mask = sum(1 << enum for enum in profile.ci_enums)
    slot.placement_count = len(profile.placements)
    for index, place in enumerate(profile.placements):
        slot.placements[index] = layout.Placement(start=place.start, rank=place.rank, gi_id=place.gi_id)
    if latencies:
        slot.create_gi_ms, slot.create_ci_ms = profile.latency.create_gi, profile.latency.create_ci
        slot.destroy_gi_ms, slot.destroy_ci_ms = profile.latency.destroy_gi, profile.latency.destroy_ci
