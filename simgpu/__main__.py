"""`python -m simgpu`: make a simulated node and look at it, for a person at a terminal."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from simgpu.catalogue import models
from simgpu.errors import SimGpuError
from simgpu.node import SimNode
from simgpu.snapshot import Gpu


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simgpu", description="Simulated NVIDIA GPUs with MIG.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a node and print what a process needs to see it")
    create.add_argument("directory", type=Path)
    create.add_argument("gpu", nargs="+", help="model or product, as `models` lists them")
    create.add_argument("--mig-off", action="store_true", help="start with MIG mode disabled")
    create.add_argument("--latencies", action="store_true", help="let changes take as long as on hardware")
    show = commands.add_parser("show", help="print what is on a node's GPUs")
    show.add_argument("directory", type=Path)
    commands.add_parser("models", help="list what can be simulated")
    return parser


def _picture(gpu: Gpu) -> list[str]:
    mode = "MIG on" if gpu.mig_mode else "MIG off"
    lines = [f"GPU {gpu.index}  {gpu.name}  {gpu.uuid}  {mode}"]
    for gi in gpu.instances:
        lines.append(f"  GI {gi.id:2}  {gi.profile:12} slices {gi.start}-{gi.start + gi.size - 1}")
        for ci in gi.compute_instances:
            pids = f"  pids {', '.join(map(str, ci.pids))}" if ci.pids else ""
            lines.append(f"    CI {ci.id}  {ci.uuid}{pids}")
    return lines


def _lines(arguments: argparse.Namespace) -> list[str]:
    if arguments.command == "models":
        return [f"{model.id:20} {', '.join(model.names)}" for model in models()]
    if arguments.command == "show":
        return [line for gpu in SimNode.open(arguments.directory).gpus for line in _picture(gpu)]
    node = SimNode.create(
        arguments.directory,
        gpus=arguments.gpu,
        mig_enabled=not arguments.mig_off,
        latencies=arguments.latencies,
    )
    return [f"export {name}={shlex.quote(value)}" for name, value in node.environment().items()]


def main() -> int:
    """Run the command line; 0 when done, 1 with a sentence on stderr when not."""
    try:
        lines = _lines(_parser().parse_args())
    except (SimGpuError, OSError) as error:
        sys.stderr.write(f"simgpu: {error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
