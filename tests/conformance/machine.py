"""The machine under test: its GPUs by what MIG is to them, and whether anything on them may be changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance import nvml
from tests.conformance.facts import pynvml


@dataclass(frozen=True)
class Gpu:
    """One GPU. `current` and `pending` are MIG modes, None where the GPU has no MIG."""

    index: int
    handle: Any
    uuid: str
    name: str
    current: int | None
    pending: int | None

    def __str__(self) -> str:
        return f"GPU {self.index}"


@dataclass(frozen=True)
class Machine:
    """`simulated` machines have every kind of GPU, so nothing is skipped on them."""

    gpus: tuple[Gpu, ...]
    simulated: bool
    may_change: bool

    def cut(self) -> list[Gpu]:
        """The GPUs whose MIG mode is on and stays so."""
        return self._some([g for g in self.gpus if g.current == g.pending == 1], "has MIG mode on")

    def uncut(self) -> list[Gpu]:
        """The GPUs that could have MIG, and have it off."""
        return self._some([g for g in self.gpus if g.current == g.pending == 0], "has MIG mode off")

    def without_mig(self) -> list[Gpu]:
        """The GPUs that have no MIG."""
        return self._some([g for g in self.gpus if g.current is None], "is without MIG")

    def changeable(self) -> list[Gpu]:
        """The GPUs on which instances may be made: permission is given, MIG is on, and nothing is there."""
        if not self.may_change:
            pytest.skip("it would make instances: allow it with --nvml-may-change")
        return self._some([g for g in self.cut() if is_empty(g)], "has MIG mode on and is empty")

    def with_instances(self) -> list[Gpu]:
        """The GPUs that have MIG instances now."""
        return self._some([g for g in self.cut() if not is_empty(g)], "has MIG instances")

    def _some(self, gpus: Iterable[Gpu], what: str) -> list[Gpu]:
        found = list(gpus)
        if not found and self.simulated:
            pytest.fail(f"the simulated machine should have a GPU that {what}")
        if not found:
            pytest.skip(f"no GPU here {what}")
        return found


def is_empty(gpu: Gpu) -> bool:
    """Whether there is no GPU instance and no process."""
    return not (nvml.instances(gpu.handle) or nvml.get("nvmlDeviceGetComputeRunningProcesses", gpu.handle))


def gpus() -> tuple[Gpu, ...]:
    """Every GPU that the driver counts."""
    return tuple(_gpu(index) for index in range(nvml.get("nvmlDeviceGetCount")))


def _gpu(index: int) -> Gpu:
    handle = nvml.get("nvmlDeviceGetHandleByIndex", index)
    try:
        current, pending = nvml.get("nvmlDeviceGetMigMode", handle)
    except pynvml.NVMLError_NotSupported:
        current = pending = None
    uuid, name = nvml.get("nvmlDeviceGetUUID", handle), nvml.get("nvmlDeviceGetName", handle)
    return Gpu(index, handle, uuid, name, current, pending)
