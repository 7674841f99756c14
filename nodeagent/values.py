"""What the agent sees on its hardware, as frozen values: GPUs and the GPU instances on them.

Every other room of the agent speaks in these. They carry no handles of the driver, so they may be kept, compared and
sent between threads; ids in them are valid only together with the placement, since the driver uses ids again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mig.migspec import MigMode
from mig.occupancy import Placed
from mig.placements import GpuShape

NO_SHAPE = GpuShape(0, ())
"""The shape of a GPU whose MIG mode is not enabled."""


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """What the driver says of itself."""

    version: str
    gpu_count: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One physical GPU. `index` is the driver's and stays for the life of one NVML session.

    `minor` is the number in `/dev/nvidia<minor>`, which need not be the index; None where the driver does not tell it.
    """

    uuid: str
    index: int
    model: str
    mig_mode: MigMode
    shape: GpuShape = NO_SHAPE
    minor: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One GPU instance (GI) and what is in it.

    `uuid` is the MIG device's. It is empty where there is no compute instance (CI) yet, and where the GI is cut in a way
    that is not ours (`whole` False: several CIs, or one that does not cover the GI). `ci` is the CI's id within its GI.
    """

    gpu: str
    gi: int
    placed: Placed
    uuid: str = ""
    whole: bool = True
    ci: int | None = None

    @property
    def half_made(self) -> bool:
        """A GI without any CI: its maker died in between, or its destroyer."""
        return self.whole and not self.uuid


Processes = Mapping[int, tuple[int, ...]]
"""GI id → ids of the processes that compute or draw there."""
