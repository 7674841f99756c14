"""`nos-mig webhook`: puts the parts together and runs them until told to stop.

Ready means: TLS serves a certificate that is valid now, and the API server was told to trust it. At SIGTERM readiness goes off
first; new connections are refused `--drain-seconds` later, when no API server picks this replica any more.
"""

import argparse
import asyncio
import gc
import ipaddress
import resource
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from kube.client import Api
from kube.errors import ConfigError
from kube.events import EventRecorder
from runtime import logs
from runtime.args import CommonArgs, add_common_args
from runtime.health import serve_health
from runtime.metrics import new_registry
from runtime.process import run as run_process
from runtime.readyfile import write_ready_file
from webhook.authority import Names
from webhook.metrics import Metrics
from webhook.rotation import Objects, Rotation
from webhook.served import ServedCertificate
from webhook.server import ReviewServer

COMPONENT = "nos-mig-webhook"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_common_args(parser)
    add = parser.add_argument
    add("--namespace", required=True, help="the release's namespace: of our Service and of our Secret")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="address for reviews (default: %(default)s)")
    add("--port", type=int, default=8443, help="port for reviews; 0 takes any free one (default: %(default)s)")
    add("--service", default=COMPONENT, metavar="NAME", help="the Service by which API servers reach us")
    add("--dns-name", action="append", default=[], metavar="NAME", help="a further name to be reached by; repeatable")
    add("--ip", action="append", default=[], type=_address, metavar="ADDRESS", help="an address, likewise")
    add("--secret", default=f"{COMPONENT}-certificates", metavar="NAME", help="where the certificates are kept")
    add("--webhook-configuration", default="nos-mig", metavar="NAME", help="the object whose caBundle is kept right")
    add(
        "--drain-seconds",
        type=float,
        default=5.0,
        metavar="S",
        help="at the end: how long to go on serving with readiness off (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run until told to stop; the exit status."""
    logs.configure(log_format=args.log_format, level=args.log_level)
    _allow_many_connections()
    return run_process(lambda: _serve(args), user_errors=(ConfigError, OSError))


async def _serve(args: argparse.Namespace) -> None:
    common = CommonArgs.of(args)
    registry = new_registry(component="webhook", version=version("nos-mig"))
    served = ServedCertificate(now=_now)
    metrics = Metrics(registry, served)
    server = ReviewServer(metrics)
    async with Api.connect(common.kubeconfig, user_agent=f"{COMPONENT}/{version('nos-mig')}") as api:
        recorder = EventRecorder(api, component=COMPONENT, instance=socket.gethostname())
        rotation = Rotation(
            api,
            objects=Objects(args.namespace, args.secret, args.webhook_configuration),
            names=_names(args),
            served=served,
            metrics=metrics,
            recorder=recorder,
            now=_now,
        )

        def unready() -> Sequence[str]:
            return ["shutting down"] if server.draining else rotation.trouble()

        health = serve_health(host=common.health_host, port=common.health_port, registry=registry, ready=unready)
        reviews = server.listening(host=args.host, port=args.port, context=served.listening, drain_s=args.drain_seconds)
        async with health as url, reviews as port, asyncio.TaskGroup() as group:
            calm_collector()
            write_ready_file(common.ready_file, health_url=url, port=port)
            group.create_task(recorder.run(), name="events")
            group.create_task(rotation.run(), name="certificates")


def calm_collector() -> None:
    """Put what start-up made out of the garbage collector's sight: walking it takes milliseconds from some review."""
    gc.collect()
    gc.freeze()


def _names(args: argparse.Namespace) -> Names:
    service = f"{args.service}.{args.namespace}.svc"
    return Names(frozenset({service, f"{service}.cluster.local", *args.dns_name}), frozenset(args.ip))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address; names go to --dns-name") from error


def _allow_many_connections() -> None:
    """Each connection is a file descriptor; the customary soft limit of 1024 is below what API servers may open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _now() -> datetime:
    return datetime.now(UTC)
