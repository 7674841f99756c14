"""What is on a simulated GPU at one moment, as frozen values for tests, pictures and people."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from simgpu import layout
from simgpu.state import start_time


@dataclass(frozen=True, kw_only=True)
class ComputeInstance:
    """A CI: its place in the GI's compute slices, the MIG device that it is, and the living processes on it."""

    id: int
    start: int
    size: int
    uuid: str
    pids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GpuInstance:
    """A GI: its profile and its place in memory slices."""

    id: int
    profile: str
    profile_id: int
    start: int
    size: int
    compute_instances: tuple[ComputeInstance, ...]


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU. `pids` are living processes that use it whole; `grid_width` is 0 where there is no MIG."""

    index: int
    uuid: str
    name: str
    model: str
    grid_width: int
    mig_mode: bool
    mig_pending: bool
    instances: tuple[GpuInstance, ...]
    pids: tuple[int, ...]


def read_gpu(raw: layout.Gpu, *, index: int) -> Gpu:
    """Return the GPU's present state; the caller holds its lock."""
    return Gpu(
        index=index,
        uuid=raw.uuid.decode(),
        name=raw.name.decode(),
        model=raw.model.decode(),
        grid_width=raw.grid_width,
        mig_mode=bool(raw.mig_current),
        mig_pending=bool(raw.mig_pending),
        instances=tuple(_read_gi(raw, gi) for gi in range(layout.GI_IDS) if raw.gis[gi].used),
        pids=_pids(raw, ci_serial=0),
    )


def _read_gi(raw: layout.Gpu, gi: int) -> GpuInstance:
    instance = raw.gis[gi]
    profile = raw.profiles[instance.profile]
    return GpuInstance(
        id=gi,
        profile=profile.name.decode().removeprefix("MIG "),
        profile_id=profile.id,
        start=instance.start,
        size=profile.size,
        compute_instances=tuple(_read_ci(raw, gi, ci) for ci in range(layout.CI_IDS) if instance.cis[ci].used),
    )


def _read_ci(raw: layout.Gpu, gi: int, ci: int) -> ComputeInstance:
    instance = raw.gis[gi].cis[ci]
    return ComputeInstance(
        id=ci,
        start=instance.start,
        size=instance.size,
        uuid=f"MIG-{uuid.UUID(bytes=bytes(raw.mig_uuids[gi][ci]))}",
        pids=_pids(raw, ci_serial=instance.serial),
    )


def _pids(raw: layout.Gpu, *, ci_serial: int) -> tuple[int, ...]:
    return tuple(
        hold.pid
        for hold in raw.holds
        if hold.used and not hold.ended_ms and hold.ci_serial == ci_serial and start_time(hold.pid) == hold.started
    )
