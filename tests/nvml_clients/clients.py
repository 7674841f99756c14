"""NVIDIA's clients, run on a simulated node as a user of that machine runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from simgpu import SimNode
from tests.nvml_clients import machine
from tests.nvml_clients.build import GO_NVML, NVIDIA_CTK, built

RUN_S: Final = 60.0

Json = dict[str, Any]


def go_nvml(node: SimNode, *args: str | int) -> Json:
    """Run our small program on NVIDIA's Go bindings; what it tells stands in `gonvml/main.go`."""
    answer: Json = json.loads(_run([str(built(GO_NVML)), *map(str, args)], node))
    return answer


def cdi_spec(node: SimNode, *args: str) -> Json:
    """Let `nvidia-ctk` find the node's devices through NVML and describe them for container runtimes."""
    spec: Json = json.loads(nvidia_ctk(node, "cdi", "generate", "--format=json", f"--driver-root={node.root}", *args))
    return spec


def nvidia_ctk(node: SimNode, *args: str) -> str:
    """Run NVIDIA's container toolkit where the driver's files are the node's; what it prints."""
    tool = [str(built(NVIDIA_CTK)), "--quiet", *args]
    return _run([sys.executable, "-m", machine.__name__, str(node.root), *tool], node)


def _run(argv: list[str], node: SimNode) -> str:
    done = subprocess.run(
        argv, env={**os.environ, **node.environment()}, cwd=Path(__file__).parents[2], check=False, capture_output=True,
        text=True, timeout=RUN_S,
    )  # fmt: skip
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout
