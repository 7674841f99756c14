"""Keeps each resource registered with the kubelet, through restarts of it.

The kubelet forgets all plugins when it restarts, and deletes their sockets; it is back when a new `kubelet.sock` is there. It fails
Pods whose devices are not registered soon after, so a lost stream is looked after within milliseconds. Nothing else is decided
here. One agent a node runs this (it holds the node's lock), hence every other socket with our prefix is a left-over.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.plugin import OPTIONS, SOCKET_PREFIX, PluginServer
from nodeagent.kubelet.podresources import CHANNEL_OPTIONS

log = logging.getLogger(__name__)

REGISTER_S = 15.0
"""Deadline of `Register`: the kubelet connects back before it answers, for up to 10 s."""

STREAM_WITHIN_S = 10.0
"""The kubelet opens `ListAndWatch` right after `Register`; one that has not by then has forgotten us."""

LOOK_S = 0.5
"""How often `kubelet.sock` is looked at while all is well. Only a stat, and a stream that ends mostly says it first."""

RETRY_S = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses after failures in a row: a kubelet that restarts is back within about a second."""

LASTED_S = 2.0
"""A registration that ended sooner counts as a failure: a kubelet that hangs up on us at once is not asked fifty times a second."""

RENEWED_S = 1.0
"""Pause after we ended a stream ourselves. Older kubelets know one plugin a resource: where they notice the old one's end after
the new one's registration, they take the new one for dead."""

Identity = tuple[int, int, int]


def identity(socket: Path) -> Identity | None:
    """What tells one `kubelet.sock` from its successor (inode numbers are reused, hence the time); None where there is none."""
    try:
        stat = socket.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_ctime_ns


def remove_left_overs(directory: Path) -> None:
    """Delete the sockets of agents that were before us."""
    for socket in directory.glob(f"{SOCKET_PREFIX}*.sock"):
        with contextlib.suppress(OSError):
            socket.unlink()


class NotRegistered(Exception):
    """The kubelet is not there or did not accept us; try again. The text says which, and what to look at."""


async def register(kubelet: Path, *, endpoint: str, resource: str) -> None:
    """Announce one socket of ours for one resource. Raises `NotRegistered`."""
    request = pb.RegisterRequest(version="v1beta1", endpoint=endpoint, resource_name=resource, options=OPTIONS)
    async with grpc.aio.insecure_channel(f"unix:{kubelet}", options=CHANNEL_OPTIONS) as channel:
        call = channel.unary_unary(
            "/v1beta1.Registration/Register",
            request_serializer=pb.RegisterRequest.SerializeToString,
            response_deserializer=pb.Empty.FromString,
        )
        try:
            await call(request, timeout=REGISTER_S)
        except grpc.aio.AioRpcError as error:
            raise NotRegistered(
                f"the kubelet did not accept {resource} on {kubelet} ({error.code().name}: {error.details()}); "
                "is it running, and is its device-plugin folder the one that is mounted here?"
            ) from error


@dataclass(slots=True)
class Registration:
    """The state of one resource: whether the kubelet watches our list, and if not, why."""

    resource: str
    server: PluginServer | None = None
    trouble: str | None = None
    renewing: bool = False

    @property
    def connected(self) -> bool:
        """Whether the kubelet holds our `ListAndWatch` stream."""
        return self.server is not None and self.server.connected

    def renew(self) -> None:
        """Give the present registration up and make another."""
        if self.server is not None:
            self.renewing = True
            self.server.ended.set()


async def keep_registered(
    registration: Registration,
    *,
    directory: Path,
    make_server: Callable[[], PluginServer],
    on_change: Callable[[], None],
) -> None:
    """Serve and register, again whenever the kubelet restarts or its stream ends. Eternal."""
    clock = asyncio.get_running_loop().time
    failures = 0
    while True:
        began = clock()
        try:
            await _one_registration(registration, directory=directory, make_server=make_server, on_change=on_change)
            failures = 0 if clock() - began >= LASTED_S else failures + 1
        except (NotRegistered, OSError) as error:
            failures += 1
            if registration.trouble != str(error):
                log.warning("%s", error)
            registration.trouble = str(error)
        finally:
            registration.server = None
        on_change()
        pause = RETRY_S[min(failures, len(RETRY_S) - 1)]
        await asyncio.sleep(max(pause, RENEWED_S) if registration.renewing else pause)
        registration.renewing = False


async def _one_registration(
    registration: Registration,
    *,
    directory: Path,
    make_server: Callable[[], PluginServer],
    on_change: Callable[[], None],
) -> None:
    kubelet = directory / "kubelet.sock"
    registered_with = identity(kubelet)
    if registered_with is None:
        raise NotRegistered(
            f"{kubelet} is not there: the kubelet is down, or its device-plugin folder is not mounted here"
        )
    server = registration.server = make_server()
    try:
        await server.start(directory)
        await register(kubelet, endpoint=server.endpoint, resource=registration.resource)
        registration.trouble = None
        log.info("registered %s on %s", registration.resource, server.endpoint)
        on_change()
        await _until_over(server, kubelet, registered_with)
    finally:
        await server.stop()


async def _until_over(server: PluginServer, kubelet: Path, registered_with: Identity) -> None:
    """Return when the stream ended, never came, or another kubelet took over."""
    looks = 0
    while identity(kubelet) in {registered_with, None}:
        looks += 1
        if not server.connected and looks * LOOK_S > STREAM_WITHIN_S:
            raise NotRegistered(
                f"the kubelet accepted {server.profile.resource} but never asked for its devices; registering again"
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await server.ended.wait()
                return
