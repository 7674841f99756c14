"""The hardware's interface: seven calls and the errors that they may raise.

All calls block and are made on the GPU's own worker thread (`workers`), never on the event loop. The errors are named by
what the caller can do. Nothing here knows NVML; `nvml.NvmlDriver` is the one implementation.
"""

from typing import Protocol

from mig.occupancy import Placed
from nodeagent.values import DriverFacts, Gpu, Instance, Processes


class DriverError(Exception):
    """A call to the driver that did not do its work; the message names the call and what the driver said."""


class DriverUnavailable(DriverError):
    """There is no usable driver at all: missing, not loaded, of another version, or not for us. Start again later."""


class GpuUnavailable(DriverError):
    """This GPU is lost or wants a reset. Leave it alone until it answers again; the others go on."""


class DriverSilent(GpuUnavailable):
    """A call has not returned within its deadline, or an earlier one still has not. Unknown: read again once it has."""


class InUse(DriverError):
    """Somebody still computes there. Try again a little later; it is normal for some tenths of a second."""


class NoRoom(DriverError):
    """The place is taken. The hardware is not what we believed: read it again."""


class NoSuchInstance(DriverError):
    """It is gone already."""


class LeftBehind(DriverError):
    """It failed half-way and could not be undone: a half-made instance of ours stays. Read again, then complete or destroy it."""


class DriverBusy(DriverError):
    """The GPU's thread is at work for somebody else. Ask again later; nothing was asked."""


class Refused(DriverError):
    """The driver says no for a reason that repeating does not change."""


class NotPermitted(Refused):
    """The driver does not let this process do it. The hardware is well; others may still use it."""


class Driver(Protocol):
    """What the agent needs of a driver. Every method blocks, and raises `DriverError`."""

    def start(self) -> DriverFacts:
        """Open the one session of this process's life, or a new one after `DriverUnavailable`."""

    def gpu(self, index: int) -> Gpu:
        """Identify one GPU and discover what it can be cut into."""

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """Every GPU instance on it, by start; empty where MIG is off. `NoSuchInstance` where one is cut anew just then."""

    def create(self, gpu: Gpu, placed: Placed) -> Instance:
        """Make a GI at exactly this place and one CI that fills it; on any failure nothing of it stays."""

    def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """Make the CI of a half-made instance."""

    def destroy(self, gpu: Gpu, instance: Instance) -> None:
        """Take the CI away, then the GI. What is gone already is success.

        Raises `InUse`, and `Refused` where somebody put other CIs into the GI.
        """

    def enable_mig(self, gpu: Gpu) -> str:
        """Turn MIG mode on; what it still waits for, empty where it is in force now.

        Raises `InUse` where a process computes there, and `Refused` where it would take a reset, or is not allowed.
        """

    def processes(self, gpu: Gpu) -> Processes:
        """Who computes or draws on which instance now."""
