"""Faults as values that a person can read: what strikes which calls, and how.

The same text stands in the environment variable `SIMGPU_FAULTS`, which a process reads at its first nvmlInit and which concerns
that process alone, and on the command line, `python -m simgpu fault DIR add TEXT`, which concerns all processes at once:

    nvmlDeviceCreateGpuInstance*:gpu=1:code=15:times=2;nvmlInit_v2,nvmlInitWithFlags:code=18;nvmlDevice*:block=500

Faults are parted by `;`, a fault's parts by `:`. First the functions, parted by `,`, where `*` at the end means all that begin
so; then, in any order, `gpu` (an index), `code` (the nvmlReturn_t), `times` (calls that it hits; else all), `block`
(milliseconds) and `after` (it strikes when the work is done). It is read in C, `faultspec.c`, for both.
"""

from __future__ import annotations

from dataclasses import dataclass

from simgpu import door, layout


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault that still strikes. `gpu` and `times` are None for all; `code` is 0 when calls are only blocked."""

    functions: tuple[str, ...]
    gpu: int | None = None
    code: int = 0
    times: int | None = None
    block_ms: int = 0
    after: bool = False

    def __str__(self) -> str:
        """The text that asks for this fault."""
        parts = [
            _names(self.functions),
            *([f"gpu={self.gpu}"] if self.gpu is not None else []),
            *([f"code={self.code}"] if self.code else []),
            *([f"times={self.times}"] if self.times is not None else []),
            *([f"block={self.block_ms}"] if self.block_ms else []),
            *(["after"] if self.after else []),
        ]
        return ":".join(parts)


def _names(functions: tuple[str, ...]) -> str:
    """All functions as `*`; all that begin like one of them, when these are they, as that with a `*`; else each."""
    known = door.functions()
    if set(functions) == set(known):
        return "*"
    shortest = min(functions, key=len)
    if len(functions) > 1 and {name for name in known if name.startswith(shortest)} == set(functions):
        return f"{shortest}*"
    return ",".join(functions)


def seen(raw: layout.Fault) -> Fault:
    """Return what the slot of the table holds."""
    mask = sum(word << 64 * index for index, word in enumerate(raw.functions))
    return Fault(
        functions=tuple(name for number, name in enumerate(door.functions()) if mask >> number & 1),
        gpu=None if raw.gpu == layout.ANY else raw.gpu,
        code=raw.code,
        times=None if raw.times < 0 else raw.times,
        block_ms=raw.block_ms,
        after=bool(raw.after),
    )
