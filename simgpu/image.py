"""A new node's state, as the bytes of its file. Pure: the same arguments give the same bytes."""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from simgpu import catalogue, layout
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
        magic=layout.MAGIC,
        layout=layout.LAYOUT,
        gpu_count=len(node.gpus),
        driver_version=node.driver_version.encode(),
        nvml_version=f"{node.cuda_version // 1000}.{node.driver_version}".encode(),
        cuda_version=node.cuda_version,
    )
    for enum, slices in enumerate(catalogue.ci_slices()):
        state.ci_slices[enum] = slices
    for index, (name, mig) in enumerate(zip(node.gpus, node.mig, strict=True)):
        _fill_gpu(state.gpus[index], node, index=index, name=name, mig=mig)
    return state


def _fill_gpu(gpu: layout.Gpu, node: Node, *, index: int, name: str, mig: bool) -> None:
    model, product = catalogue.find(name)
    identity = uuid.uuid5(_NAMESPACE, f"{node.identity}/gpu/{index}")
    gpu.uuid = f"GPU-{identity}".encode()
    gpu.name = product.encode()
    gpu.model = model.id.encode()
    gpu.serial_number = str(1_650_000_000_000 + identity.int % 1_000_000_000).encode()
    gpu.pci_bus = 0x10 + index * 8  # a place of its own for each, as in a server with a switch for every GPU
    gpu.pci_device_id = model.pci_device_id
    gpu.architecture = model.architecture
    gpu.cc_major, gpu.cc_minor = model.compute_capability
    gpu.memory_mib = model.memory_mib
    gpu.mig_capable = bool(model.profiles)
    gpu.mig_current = gpu.mig_pending = mig and bool(model.profiles)
    gpu.mig_needs_reset = model.mode_needs_reset
    gpu.compute_slices = model.compute_slices
    gpu.grid_width = model.grid_width
    gpu.profile_count = len(model.profiles)
    for slot, profile in zip(gpu.profiles, model.profiles, strict=False):
        _fill_profile(slot, profile, latencies=node.latencies)
    for gi in range(layout.GI_IDS):
        for ci in range(layout.CI_IDS):
            digest = uuid.uuid5(identity, f"MIG/{gi}/{ci}").bytes
            ctypes.memmove(gpu.mig_uuids[gi][ci], digest, len(digest))


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
