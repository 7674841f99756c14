"""`nos-mig demo`: options, and which of the demo's ways to run is meant."""

import argparse
import signal
import sys
from types import FrameType

from cluster import ClusterError
from demo import detached
from demo.options import Options
from demo.show import show

EPILOG = """\
At a terminal it stays until Ctrl-C; otherwise, or with --exit, it ends with 0 only if every Pod came out as it should.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = EPILOG
    parser.add_argument("--nodes", type=_count, default=2, metavar="N", help="nodes with a real kubelet (default 2)")
    parser.add_argument("--gpus", type=_gpus, default=2, metavar="N", help="GPUs a node, 1 to 16 (default 2)")
    parser.add_argument(
        "--models",
        default="A100-SXM4-80GB,H100-SXM5-80GB",
        metavar="LIST",
        help="GPU models, dealt out to the nodes in turn (default %(default)s)",
    )
    parser.add_argument(
        "--latencies",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether simulated hardware takes as long as real hardware (default: it does)",
    )
    parser.add_argument("--exit", action="store_true", help="end when every Pod came out, also at a terminal")
    parser.add_argument("--detach", action="store_true", help="leave it running without the Pods; prints KUBECONFIG=…")
    parser.add_argument("--stop", action="store_true", help="end what --detach left running")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when everything came out as it should."""
    signal.signal(signal.SIGTERM, _interrupt)
    options = Options(args.nodes, args.gpus, tuple(args.models.split(",")), args.latencies)
    try:
        if args.stop:
            return detached.stop()
        if args.serve:
            return detached.serve(options)
        if args.detach:
            return detached.detach(options)
        return show(options, stay=sys.stdout.isatty() and not args.exit)
    except KeyboardInterrupt:
        return 130
    except (ClusterError, ValueError) as error:
        print(f"nos-mig demo: {error}", file=sys.stderr)
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does, tear-down included."""
    raise KeyboardInterrupt


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _gpus(text: str) -> int:
    value = _count(text)
    if value > 16:
        raise argparse.ArgumentTypeError("at most 16: a MigSpec holds no more")
    return value
