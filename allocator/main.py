"""`nos-mig allocator`: stands for leader, and allocates while it leads.

A process that does not lead holds nothing: it lists when it takes over, which is a second's work in a large cluster, and so what it
decides on is never older than its term. When it loses the lead it exits; whoever keeps processes running starts it afresh.
"""

import argparse
import asyncio
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from allocator.announce import Announcer
from allocator.controller import Controller
from allocator.fence import fence, highest_epoch
from allocator.geometryfile import GeometryFile
from allocator.index import Index
from allocator.learning import Learning
from allocator.metrics import Metrics
from allocator.obituaries import Obituaries
from allocator.placement.engine import Engine
from allocator.watching import Watches
from allocator.writer import Writer
from kube.client import Api
from kube.errors import ConfigError
from kube.events import EventRecorder
from kube.lease import LeadershipLost, LeaseElection
from mig.names import LEASE, MIX_ANNOTATION
from runtime import logs
from runtime.args import CommonArgs, add_common_args
from runtime.health import serve_health
from runtime.metrics import new_registry
from runtime.process import run as run_process
from runtime.readyfile import write_ready_file

COMPONENT: Final = "nos-mig-allocator"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_common_args(parser)
    add = parser.add_argument
    add("--namespace", required=True, help="the release's namespace: of the Lease and of the geometries' ConfigMap")
    add("--identity", default="", metavar="ID", help="who we are in the Lease (default: host name and a random part)")
    add("--lease", default=LEASE, metavar="NAME", help="the Lease that makes one of us leader (default: %(default)s)")
    add("--geometries", default="nos-mig-geometries", metavar="NAME", help="the ConfigMap (default: %(default)s)")
    add("--lease-duration", type=float, default=15.0, metavar="S", help="default: %(default)s")
    add("--renew-deadline", type=float, default=10.0, metavar="S", help="default: %(default)s")
    add("--retry-period", type=float, default=2.0, metavar="S", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Run until told to stop, or until the lead is lost; the exit status."""
    logs.configure(log_format=args.log_format, level=args.log_level)
    return run_process(lambda: _serve(args), user_errors=(ConfigError, LeadershipLost, OSError))


async def _serve(args: argparse.Namespace) -> None:
    common = CommonArgs.of(args)
    registry = new_registry(component="allocator", version=version("nos-mig"))
    metrics = Metrics(registry)
    identity = args.identity or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    async with Api.connect(common.kubeconfig, user_agent=f"{COMPONENT}/{version('nos-mig')}") as api:
        recorder = EventRecorder(api, component=COMPONENT, instance=identity)
        term = Term(api, recorder, metrics, namespace=args.namespace, geometries=args.geometries)
        election = LeaseElection(
            api,
            namespace=args.namespace,
            name=args.lease,
            identity=identity,
            floor_epoch=lambda: highest_epoch(api),
            lease_s=args.lease_duration,
            renew_s=args.renew_deadline,
            retry_s=args.retry_period,
            annotations=term.annotations,
        )
        health = serve_health(host=common.health_host, port=common.health_port, registry=registry, ready=term.unready)
        async with health as url, asyncio.TaskGroup() as group:
            write_ready_file(common.ready_file, health_url=url)
            events = group.create_task(recorder.run(), name="events")
            await election.lead(lambda epoch: term.run(epoch, mix=election.inherited.get(MIX_ANNOTATION, "")))
            events.cancel()


class Term:
    """What a process does while it leads: fence, list, and then round after round."""

    def __init__(self, api: Api, recorder: EventRecorder, metrics: Metrics, *, namespace: str, geometries: str) -> None:
        self._api = api
        self._emit = recorder.emit
        self._announcer = Announcer(recorder.emit)
        self._metrics = metrics
        self._namespace = namespace
        self._geometries = geometries
        self._index: Index | None = None
        self._learning: Learning | None = None

    def unready(self) -> Sequence[str]:
        """A process that stands by is ready to take over; one that leads is ready when it has listed everything."""
        if self._index is None or self._index.synced:
            return ()
        return ("leading, but not everything has been listed yet; see the log for what cannot be watched",)

    def annotations(self) -> Mapping[str, str]:
        """What the Lease is to carry for our successor; nothing that has not been looked at is overwritten."""
        text = self._learning.annotation if self._learning is not None else ""
        return {MIX_ANNOTATION: text} if text else {}

    async def run(self, epoch: int, *, mix: str = "") -> None:
        """Lead with this epoch until cancelled; `mix` is the Lease's annotation as our predecessor left it.

        Raises `LeadershipLost` when another term has begun.
        """
        metrics = self._metrics
        metrics.leading.set(1)
        metrics.epoch.set(epoch)
        try:
            await fence(self._api, epoch=epoch)
            wake = asyncio.Event()
            self._index = index = Index(on_change=wake.set)
            self._learning = learning = Learning(mix)
            obituaries = Obituaries(self._api, self._emit)
            writer = Writer(
                self._api,
                index,
                epoch=epoch,
                announcer=self._announcer,
                metrics=metrics,
                released=obituaries.released,
            )
            controller = Controller(
                index,
                writer,
                epoch=epoch,
                engine=Engine(mix=learning.mix),
                learning=learning,
                metrics=metrics,
                wake=wake,
            )
            watches = Watches(self._api, index, metrics, on_listed=wake.set)
            file = GeometryFile(on_error=self._complain)
            async with asyncio.TaskGroup() as group:
                watches.start(group, namespace=self._namespace, geometries=self._geometries, file=file)
                group.create_task(controller.run(), name="rounds")
                group.create_task(obituaries.run(), name="obituaries")
        finally:
            self._index = None
            self._learning = None
            metrics.leading.set(0)

    def _complain(self, complaint: str) -> None:
        self._metrics.geometries_valid.set(0 if complaint else 1)
        if complaint:
            self._announcer.geometries(namespace=self._namespace, name=self._geometries, complaint=complaint)
