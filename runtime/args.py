"""The options that every process has, so that they are called and mean the same everywhere."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from runtime.logs import FORMATS, LEVELS


@dataclass(frozen=True, slots=True)
class CommonArgs:
    """The parsed common options."""

    kubeconfig: Path | None
    log_format: str
    log_level: str
    health_host: str
    health_port: int | None  # None: no health server; 0: any free port
    ready_file: Path | None = None

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> "CommonArgs":
        """Pick the common options out of a parsed command line."""
        return cls(
            kubeconfig=parsed.kubeconfig,
            log_format=parsed.log_format,
            log_level=parsed.log_level,
            health_host=parsed.health_host,
            health_port=None if parsed.health_port < 0 else parsed.health_port,
            ready_file=parsed.ready_file,
        )


def add_common_args(parser: argparse.ArgumentParser, *, health_port: int = 8081) -> None:
    """Add the common options; ``health_port`` is the component's default."""
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="how to reach the API server (default: $KUBECONFIG, the Pod's service account, ~/.kube/config)",
    )
    group.add_argument("--log-format", choices=FORMATS, default="text", help="default: %(default)s")
    group.add_argument("--log-level", choices=LEVELS, default="info", help="default: %(default)s")
    group.add_argument(
        "--health-host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address for /healthz, /readyz and /metrics (default: %(default)s; in a Pod 0.0.0.0 or ::)",
    )
    group.add_argument(
        "--health-port",
        type=_port,
        metavar="PORT",
        default=health_port,
        help="port for them; 0 takes any free one, -1 switches them off (default: %(default)s)",
    )
    group.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help='where to write {"health": PORT, "port": PORT} once the process listens, for those who asked for any free port',
    )


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -2
    if not -1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use 1 to 65535, 0 for any free one or -1 for none")
    return port
