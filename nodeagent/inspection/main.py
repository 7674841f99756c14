"""`nos-mig inspect`: reads everything once, prints it, and says by its exit status how it stands.

On a node, or in the agent's Pod: `kubectl exec -n nos-mig POD -- nos-mig inspect`. Its options are those of the agent; in the Pod
the chart gives them in the environment, too (`VARIABLES`). 0: all agree; 1: they differ; 2: something could not be read, or the
options are wrong.
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
from nodeagent.gpus.driverlibrary import DriverLibrary
from nodeagent.gpus.nvml import NvmlDriver
from nodeagent.gpus.nvml_calls import Nvml
from nodeagent.inspection.join import inspect
from nodeagent.inspection.sources import read_sources
from nodeagent.inspection.text import as_json, as_text
from nodeagent.inspection.values import Sources, Unread
from nodeagent.main import boot_id_file
from nodeagent.options import DevicePlugin

WIDTH: Final = 200
"""Columns where there is no terminal to ask, as in `kubectl exec` without -t."""


VARIABLES: Final = {
    "node_name": "NODE_NAME",
    "device_plugin_dir": "NOS_MIG_DEVICE_PLUGIN_DIR",
    "pod_resources_socket": "NOS_MIG_POD_RESOURCES_SOCKET",
    "state_dir": "NOS_MIG_STATE_DIR",
    "driver_root": "NOS_MIG_DRIVER_ROOT",
    "device_plugin": "NOS_MIG_DEVICE_PLUGIN",
}
"""Where each option's default is read from, if it is there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: the agent's, as far as they name what is read."""
    add = parser.add_argument
    named = _default("node_name", "")
    add(
        "--node-name", default=named, required=not named, help="this node, as Kubernetes names it (default: $NODE_NAME)"
    )
    add("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server (default: as the agent does)")
    for option, metavar, default in (
        ("--device-plugin-dir", "DIR", "/var/lib/kubelet/device-plugins"),
        ("--pod-resources-socket", "SOCKET", "/var/lib/kubelet/pod-resources/kubelet.sock"),
        ("--state-dir", "DIR", "/var/lib/nos-mig"),
        ("--driver-root", "DIR", "/"),
    ):
        name = option.removeprefix("--").replace("-", "_")
        add(option, type=Path, default=_default(name, default), metavar=metavar, help="default: %(default)s")
    add(
        "--device-plugin",
        type=DevicePlugin,
        choices=list(DevicePlugin),
        default=_default("device_plugin", DevicePlugin.OWN),
        help="as the agent's (default: %(default)s)",
    )
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")


def _default(name: str, otherwise: str) -> str:
    return os.environ.get(VARIABLES[name]) or otherwise


def run(args: argparse.Namespace) -> int:
    """Read, print, judge; the exit status."""
    inspection = inspect(asyncio.run(_read(args)))
    if args.output == "json":
        print(json.dumps(as_json(inspection), indent=2))
    else:
        print(as_text(inspection, width=shutil.get_terminal_size((WIDTH, 0)).columns), end="")
    return inspection.exit_status


async def _read(args: argparse.Namespace) -> Sources:
    driver = NvmlDriver(Nvml(), find=DriverLibrary(args.driver_root).load)
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
