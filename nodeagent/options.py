"""The agent's options: declared for the command line, and read into one frozen value.

Why apart: `main` puts the agent together, and tests put it together otherwise, from the same value. Nothing is checked
here but what argparse checks.
"""

import argparse
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from kube.errors import ConfigError
from nodeagent.gpus.hardware import CHANGE_S

DRAIN_S = 30.0
"""How long a stopping agent waits at most for Pods that were let go to have their slices."""

RESYNC_S = 30.0
"""How late a change of a GPU behind our back is noticed at most: each reading makes some 50 quick calls to the driver."""


class DevicePlugin(StrEnum):
    """Whose device plugin offers the slices to the kubelet."""

    OWN = "own"
    NVIDIA = "nvidia"


class DeviceListStrategy(StrEnum):
    """How a container is told which slice is its own."""

    ENVVAR = "envvar"
    """`NVIDIA_VISIBLE_DEVICES`, for NVIDIA's container runtime."""
    CDI_CRI = "cdi-cri"
    """The name of a CDI device, for the container runtime itself; what a user writes into env changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All of them. Paths are as the agent's process sees them, but `device_root`, which is as the host sees it."""

    node_name: str
    namespace: str = ""
    device_plugin_dir: Path
    pod_resources_socket: Path
    state_dir: Path
    driver_root: Path = Path("/")
    device_root: Path = Path("/")
    """Below which `dev/nvidia*` lies on the host."""
    host_dev: Path = Path("/dev")
    """That `dev` folder, as it is mounted here."""
    proc_dir: Path = Path("/proc")
    device_plugin: DevicePlugin = DevicePlugin.OWN
    nvidia_plugin_namespace: str = ""
    nvidia_plugin_selectors: tuple[str, ...] = ()
    device_list_strategy: DeviceListStrategy = DeviceListStrategy.ENVVAR
    cdi_dir: Path = Path("/var/run/cdi")
    enable_mig_mode: bool = False
    drain_s: float = DRAIN_S
    resync_s: float = RESYNC_S
    change_deadline_s: float = CHANGE_S

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """Read the command line's. Raises `ConfigError` for what no agent can work with."""
        given = {name: getattr(args, name) for name in cls.__slots__}
        selectors = tuple(args.nvidia_plugin_selectors)
        named = bool(selectors) and all(each.strip() for each in selectors)
        if args.device_plugin is DevicePlugin.NVIDIA and not named:
            raise ConfigError(
                "name the labels of NVIDIA's device plugin (--nvidia-plugin-selector); without, any Pod would be meant"
            )
        return cls(**given | {"nvidia_plugin_selectors": selectors})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add = parser.add_argument
    add("--node-name", required=True, help="this node, as Kubernetes names it")
    add("--namespace", default="", help="the release's namespace")
    add("--device-plugin-dir", type=Path, default=Path("/var/lib/kubelet/device-plugins"), metavar="DIR")
    add(
        "--pod-resources-socket",
        type=Path,
        default=Path("/var/lib/kubelet/pod-resources/kubelet.sock"),
        metavar="SOCKET",
    )
    add("--state-dir", type=Path, default=Path("/var/lib/nos-mig"), metavar="DIR", help="kept over restarts")
    add("--driver-root", type=Path, default=Path("/"), metavar="DIR", help="below which the NVIDIA driver lies")
    add("--device-root", type=Path, default=Path("/"), metavar="DIR", help="below which dev/nvidia* lies on the host")
    add(
        "--host-dev",
        type=Path,
        default=Path("/dev"),
        metavar="DIR",
        help="where that dev folder of the host's is mounted",
    )
    add(
        "--proc-dir",
        type=Path,
        default=Path("/proc"),
        metavar="DIR",
        help="the kernel's, where MIG's capabilities are told",
    )
    add("--device-plugin", type=DevicePlugin, choices=list(DevicePlugin), default=DevicePlugin.OWN)
    add("--nvidia-plugin-namespace", default="", metavar="NAMESPACE", help="of NVIDIA's plugin; empty: any")
    add(
        "--nvidia-plugin-selector",
        action="append",
        default=[],
        dest="nvidia_plugin_selectors",
        metavar="SELECTOR",
        help="labels of its Pods; give it for each way in which it may be installed",
    )
    add(
        "--device-list-strategy",
        type=DeviceListStrategy,
        choices=list(DeviceListStrategy),
        default=DeviceListStrategy.ENVVAR,
    )
    add("--cdi-dir", type=Path, default=Path("/var/run/cdi"), metavar="DIR", help="where CDI descriptions are written")
    add("--enable-mig-mode", action="store_true", help="turn MIG mode on where that disturbs nobody")
    add("--drain-s", type=float, default=DRAIN_S, metavar="SECONDS", help="how long to wait, at SIGTERM, for Pods")
    add("--resync-s", type=float, default=RESYNC_S, metavar="SECONDS", help="how often each GPU is read again")
    add(
        "--change-deadline-s",
        type=float,
        default=CHANGE_S,
        metavar="SECONDS",
        help="how long making or destroying an instance may take before its GPU counts as one that does not answer",
    )
