"""`python -m simgpu`: make a simulated node, look at it, and let things go wrong on it, for a person at a terminal."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from simgpu.catalogue import models
from simgpu.errors import SimGpuError
from simgpu.node import SimNode
from simgpu.snapshot import Gpu

_SICKNESSES = ("lose", "require-reset", "reset")


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
    _add_calamities(commands)
    return parser


def _add_calamities(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fault = commands.add_parser("fault", help="let NVML calls of all processes of a node fail or block")
    fault.add_argument("directory", type=Path)
    actions = fault.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="print the faults that still strike")
    actions.add_parser("clear", help="forget all faults")
    add = actions.add_parser("add", help="add faults, for example 'nvmlDeviceCreate*:gpu=1:code=15:times=2'")
    add.add_argument("text", help="FUNCTION[,FUNCTION*]...[:gpu=N][:code=N][:times=N][:block=MS][:after][;...]")
    for name in _SICKNESSES:
        one = commands.add_parser(name, help=f"{name.replace('-', ' ')} a GPU")
        one.add_argument("directory", type=Path)
        one.add_argument("gpu", type=int, help="index of the GPU")
    swap = commands.add_parser("swap", help="put another GPU into the place of one")
    swap.add_argument("directory", type=Path)
    swap.add_argument("gpu", type=int, help="index of the GPU")
    swap.add_argument("model", nargs="?", help="model or product; the same as before, if left out")
    driver = commands.add_parser("driver", help="unload, load or upgrade the driver, or part it from its library")
    driver.add_argument("directory", type=Path)
    driver.add_argument(
        "state", help="`unload`, `load`, `mismatch`, `match`, or a version to install and load: 575.57.08"
    )
    linger = commands.add_parser("linger", help="let devices be in use for a while after their processes ended")
    linger.add_argument("directory", type=Path)
    linger.add_argument("ms", type=int, help="milliseconds; 0 ends it")
    commands.add_parser("reboot", help="reboot the node").add_argument("directory", type=Path)


def _picture(gpu: Gpu) -> list[str]:
    mode = "MIG on" if gpu.mig_mode else "MIG off"
    lines = [f"GPU {gpu.index}  {gpu.name}  {gpu.uuid}  {mode}"]
    for gi in gpu.instances:
        lines.append(f"  GI {gi.id:2}  {gi.profile:12} slices {gi.start}-{gi.start + gi.size - 1}")
        for ci in gi.compute_instances:
            pids = f"  pids {', '.join(map(str, ci.pids))}" if ci.pids else ""
            lines.append(f"    CI {ci.id}  {ci.uuid}{pids}")
    return lines


def _create(arguments: argparse.Namespace) -> list[str]:
    node = SimNode.create(
        arguments.directory,
        gpus=arguments.gpu,
        mig_enabled=not arguments.mig_off,
        latencies=arguments.latencies,
    )
    return [f"export {name}={shlex.quote(value)}" for name, value in node.environment().items()]


def _faults(node: SimNode, arguments: argparse.Namespace) -> Iterable[str]:
    if arguments.action == "add":
        node.inject_text(arguments.text)
    elif arguments.action == "clear":
        node.clear_faults()
    return map(str, node.faults)


def _change(node: SimNode, arguments: argparse.Namespace) -> None:
    """Do to the node what the command says, by the method of its name."""
    match arguments.command:
        case "reboot":
            node.reboot()
        case "swap":
            node.swap(arguments.gpu, arguments.model)
        case "linger":
            node.linger(arguments.ms)
        case "driver":
            _change_driver(node, arguments.state)
        case sickness:
            getattr(node, sickness.replace("-", "_"))(arguments.gpu)


def _change_driver(node: SimNode, state: str) -> None:
    match state:
        case "unload":
            node.unload_driver()
        case "load":
            node.load_driver()
        case "mismatch" | "match":
            node.mismatch(state == "mismatch")
        case version:
            node.upgrade_driver(version)


def _lines(arguments: argparse.Namespace) -> Iterable[str]:
    if arguments.command == "models":
        return [
            f"{model.id:20} {', '.join(model.names)}{' (placements assumed)' * model.assumed}" for model in models()
        ]
    if arguments.command == "create":
        return _create(arguments)
    node = SimNode.open(arguments.directory)
    if arguments.command == "fault":
        return _faults(node, arguments)
    if "gpu" in arguments and arguments.gpu not in range(len(node.gpus)):
        raise SimGpuError(f"{arguments.directory} has no GPU {arguments.gpu}; its GPUs are 0 to {len(node.gpus) - 1}")
    if arguments.command != "show":
        _change(node, arguments)
    return [line for gpu in node.gpus for line in _picture(gpu)]


def main() -> int:
    """Run the command line; 0 when done, 1 with a sentence on stderr when not."""
    try:
        lines = list(_lines(_parser().parse_args()))
    except (SimGpuError, OSError) as error:
        sys.stderr.write(f"simgpu: {error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
