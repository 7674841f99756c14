"""One call of NVML: made, timed, counted, and its error said in our words.

Every call passes `Nvml.call`, so metrics and error translation have one place. pynvml carries no types, hence it is
imported as a value of type Any, here alone. This module knows what errors mean; `nvml` knows which calls to make.
"""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from nodeagent.gpus.driver import (
    DriverError,
    DriverUnavailable,
    GpuUnavailable,
    InUse,
    NoRoom,
    NoSuchInstance,
    NotPermitted,
    Refused,
)

pynvml: Final[Any] = import_module("pynvml")

Observe = Callable[[str, str, float], None]
"""Told of each call: the function's name, `ok` or the driver's error, seconds."""

_MEANING: Final[dict[int, type[DriverError]]] = {
    pynvml.NVML_ERROR_UNINITIALIZED: DriverUnavailable,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: DriverUnavailable,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: DriverUnavailable,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: DriverUnavailable,
    pynvml.NVML_ERROR_GPU_IS_LOST: GpuUnavailable,
    pynvml.NVML_ERROR_RESET_REQUIRED: GpuUnavailable,
    pynvml.NVML_ERROR_GPU_NOT_FOUND: GpuUnavailable,
    pynvml.NVML_ERROR_IRQ_ISSUE: GpuUnavailable,
    pynvml.NVML_ERROR_TIMEOUT: GpuUnavailable,
    pynvml.NVML_ERROR_IN_USE: InUse,
    pynvml.NVML_ERROR_INSUFFICIENT_RESOURCES: NoRoom,
    pynvml.NVML_ERROR_NOT_FOUND: NoSuchInstance,
    pynvml.NVML_ERROR_NO_PERMISSION: NotPermitted,
}

_ADVICE: Final[dict[int, str]] = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "install the NVIDIA driver on this node, or name the folder it lives in (nodeAgent.driverRoot)"
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "load the NVIDIA kernel module on this node",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated under a loaded kernel module: reboot the node",
    pynvml.NVML_ERROR_NO_PERMISSION: "the agent needs CAP_SYS_ADMIN or the MIG capability files",
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "the driver is too old; use R525 or newer",
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: "the driver is too old; use R525 or newer",
    pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU fell off the bus: reboot the node or replace the GPU",
    pynvml.NVML_ERROR_RESET_REQUIRED: (
        "reset the GPU (nvidia-smi --gpu-reset -i <index>) while no process has it open, this agent included, or reboot the node"
    ),
}


def _ignore(_function: str, _outcome: str, _seconds: float) -> None:
    """Observe nothing."""


class Nvml:
    """Calls of pynvml by name. Thread-safe, as NVML is; `observe` must be, too."""

    def __init__(self, observe: Observe = _ignore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._observe = observe
        self._clock = clock

    def call(self, function: str, *args: Any) -> Any:
        """Make one call. Raises the `DriverError` that its return code means, the NVML error chained."""
        began = self._clock()
        outcome = "ok"
        try:
            return getattr(pynvml, function)(*args)
        except pynvml.NVMLError as error:
            outcome = str(error)
            raise translated(function, error) from error
        finally:
            self._observe(function, outcome, self._clock() - began)

    def supported(self, function: str, *args: Any) -> Any | None:
        """Make one call; None where the GPU or the driver has no such thing."""
        try:
            return self.call(function, *args)
        except DriverError as error:
            if code_of(error) in (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_INVALID_ARGUMENT):
                return None
            raise


def code_of(error: DriverError) -> int | None:
    """NVML's return code behind one of our errors."""
    cause = error.__cause__
    return cause.value if isinstance(cause, pynvml.NVMLError) else None


def error_text(code: int) -> str:
    """NVML's words for a code that a call returned in an argument instead of raising it."""
    return f"{pynvml.NVMLError(code)}"


def translated(function: str, error: Any) -> DriverError:
    """Our error for one of NVML's, with what to do where somebody can do something."""
    meaning = _MEANING.get(error.value, Refused)
    advice = _ADVICE.get(error.value)
    return meaning(f"{function}: {error}" + (f"; {advice}" if advice else ""))
