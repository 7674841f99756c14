"""`nos-mig inspect`: reads everything once, prints it, and says by its exit status how it stands.

On a node, or in the agent's Pod: `kubectl exec -n nos-mig POD -- nos-mig inspect`. Its options are those of the agent; a Pod's
environment names the node. 0: all agree; 1: they differ; 2: something could not be read, or the options are wrong.
"""

import argparse
import asyncio
import functools
import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Final

from kube.client import Api
from kube.errors import ConfigError
from nodeagent.gpus.nvml import NvmlDriver
from nodeagent.gpus.nvml_calls import Nvml
from nodeagent.inspection.join import inspect
from nodeagent.inspection.sources import read_sources
from nodeagent.inspection.text import as_json, as_text
from nodeagent.inspection.values import Sources, Unread
from nodeagent.main import boot_id_file, load_library
from nodeagent.options import DevicePlugin

WIDTH: Final = 200
"""Columns where there is no terminal to ask, as in `kubectl exec` without -t."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: the agent's, as far as they name what is read."""
    add = parser.add_argument
    named = os.environ.get("NODE_NAME", "")
    add(
        "--node-name", default=named, required=not named, help="this node, as Kubernetes names it (default: $NODE_NAME)"
    )
    add("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server (default: as the agent does)")
    kubelet = Path("/var/lib/kubelet")
    add(
        "--device-plugin-dir", type=Path, default=kubelet / "device-plugins", metavar="DIR", help="default: %(default)s"
    )
    add(
        "--pod-resources-socket",
        type=Path,
        default=kubelet / "pod-resources/kubelet.sock",
        metavar="SOCKET",
        help="default: %(default)s",
    )
    add("--state-dir", type=Path, default=Path("/var/lib/nos-mig"), metavar="DIR", help="default: %(default)s")
    add("--driver-root", type=Path, default=Path("/"), metavar="DIR", help="below which the NVIDIA driver lies")
    add(
        "--device-plugin",
        type=DevicePlugin,
        choices=list(DevicePlugin),
        default=DevicePlugin.OWN,
        help="as the agent's",
    )
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Read, print, judge; the exit status."""
    inspection = inspect(asyncio.run(_read(args)))
    if args.output == "json":
        print(json.dumps(as_json(inspection), indent=2))
    else:
        print(as_text(inspection, width=shutil.get_terminal_size((WIDTH, 0)).columns), end="")
    return inspection.exit_status


async def _read(args: argparse.Namespace) -> Sources:
    driver = NvmlDriver(Nvml(), find=functools.partial(load_library, args.driver_root))
    ask = functools.partial(
        read_sources,
        args.node_name,
        driver=driver,
        boot_id=boot_id_file().read_text(encoding="ascii").strip(),
        ledger=args.state_dir / "ledger.json",
        device_plugin_dir=args.device_plugin_dir,
        pod_resources_socket=args.pod_resources_socket,
        beside_nvidia=args.device_plugin is DevicePlugin.NVIDIA,
    )
    try:
        async with Api.connect(args.kubeconfig, user_agent=f"nos-mig-inspect/{version('nos-mig')}") as api:
            return await ask(api=api)
    except ConfigError as error:
        return await ask(api=Unread(str(error)))
