"""The device-plugin server of one resource: our half of the kubelet's device-plugin API, v1beta1, on a socket of its own.

It promises that the kubelet sees the book as it is, at once, and that a refusal reaches the Pod as text. A server lives for one
registration: `registration` starts a new one on a fresh socket for the next. It decides nothing; `offers` does.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from mig.profiles import Profile
from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.handing import Handing
from nodeagent.kubelet.offers import Device, Offers, Refused
from nodeagent.kubelet.podresources import EXPECT_S, AllocationGate, serialize

log = logging.getLogger(__name__)

OPTIONS = pb.DevicePluginOptions(pre_start_required=True, get_preferred_allocation_available=True)
SOCKET_PREFIX = "nos-mig-"
MAX_SOCKET_PATH = 107
"""Bytes in a unix socket's address on Linux, less the closing zero."""


class PluginServer:
    """One server. `start`, then register its `endpoint`; `stop` when the registration has ended."""

    def __init__(
        self,
        profile: Profile,
        *,
        offers: Offers,
        handing: Handing,
        gate: AllocationGate,
        verify: Callable[[str], bool],
        on_stream: Callable[[], None],
    ) -> None:
        self.profile = profile
        self.endpoint = f"{SOCKET_PREFIX}{profile}-{secrets.token_hex(3)}.sock"
        self.connected = False
        self.ended = asyncio.Event()
        self._offers = offers
        self._handing = handing
        self._gate = gate
        self._verify = verify
        self._on_stream = on_stream
        self._streams = 0
        self._server: grpc.aio.Server | None = None

    async def start(self, directory: Path) -> None:
        """Serve on a fresh socket in the kubelet's folder. Raises `OSError` where it cannot be made."""
        path = directory / self.endpoint
        if len(str(path).encode()) > MAX_SOCKET_PATH:
            raise OSError(
                f"{path} is longer than {MAX_SOCKET_PATH} bytes, the limit of a socket's path; use a shorter folder"
            )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self._handlers(),))
        try:
            server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {path}; is the folder there and writable?") from error
        await server.start()
        self._server = server
        self._path = path

    async def stop(self) -> None:
        """End the streams and remove the socket."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(grace=None)
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _handlers(self) -> grpc.GenericRpcHandler:
        def unary(method: Callable[[Any], Awaitable[Message]], request: type[Any]) -> "grpc.RpcMethodHandler[Any, Any]":
            return grpc.unary_unary_rpc_method_handler(
                _answering(method), request_deserializer=request.FromString, response_serializer=serialize
            )

        return grpc.method_handlers_generic_handler(
            "v1beta1.DevicePlugin",
            {
                "GetDevicePluginOptions": unary(self._options, pb.Empty),
                "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                    self._list_and_watch, request_deserializer=pb.Empty.FromString, response_serializer=serialize
                ),
                "GetPreferredAllocation": unary(self._prefer, pb.PreferredAllocationRequest),
                "Allocate": unary(self._allocate, pb.AllocateRequest),
                "PreStartContainer": unary(self._pre_start, pb.PreStartContainerRequest),
            },
        )

    async def _options(self, _request: pb.Empty) -> pb.DevicePluginOptions:
        return OPTIONS

    async def _list_and_watch(self, _request: pb.Empty, _context: object) -> AsyncIterator[pb.ListAndWatchResponse]:
        self._streams += 1
        self.connected = True
        try:
            sent: pb.ListAndWatchResponse | None = None
            while True:
                seen = self._offers.changed.count
                current = self._current()
                if current != sent:
                    yield current
                    sent = current
                    self._on_stream()
                await self._offers.changed.beyond(seen)
        finally:
            self._streams -= 1
            if self._streams == 0:
                self.connected = False
                self.ended.set()
                self._on_stream()

    def _current(self) -> pb.ListAndWatchResponse:
        # No topology: it would narrow the ids that the kubelet lets us choose from.
        return pb.ListAndWatchResponse(
            devices=[
                pb.Device(id=line.id, health="Healthy" if line.healthy else "Unhealthy")
                for line in self._offers.listed(self.profile)
            ]
        )

    async def _prefer(self, request: pb.PreferredAllocationRequest) -> pb.PreferredAllocationResponse:
        answers = []
        async with self._gate.allocating(then_quiet_s=EXPECT_S):
            for each in request.container_requests:
                ids = self._offers.preferred(
                    self.profile,
                    available=each.available_device_ids,
                    must_include=each.must_include_device_ids,
                    size=each.allocation_size,
                )
                answers.append(pb.ContainerPreferredAllocationResponse(device_ids=ids))
        return pb.PreferredAllocationResponse(container_responses=answers)

    async def _allocate(self, request: pb.AllocateRequest) -> pb.AllocateResponse:
        answers = []
        async with self._gate.allocating():
            for each in request.container_requests:
                ids = list(each.device_ids)
                self._offers.hand_out(self.profile, ids)
                answers.append(self._handing.answer(self._known(ids)))
                log.info("handed out %s of %s", ", ".join(ids), self.profile.resource)
        return pb.AllocateResponse(container_responses=answers)

    async def _pre_start(self, request: pb.PreStartContainerRequest) -> pb.PreStartContainerResponse:
        ids = list(request.device_ids)
        for device_id in ids:
            if not self._verify(device_id):
                raise Refused(
                    f"slice {device_id} ({self.profile}), which this container was given, is not on its GPU any more; "
                    "delete the Pod, so that its controller makes a new one"
                )
        self._offers.start(self.profile, ids)
        for device in self._known(ids):
            self._handing.prepare(device)
        return pb.PreStartContainerResponse()

    def _known(self, ids: Sequence[str]) -> list[Device]:
        return [device for each in ids if (device := self._offers.device(each)) is not None]


def _answering(
    method: Callable[[Any], Awaitable[Message]],
) -> "Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Message]]":
    """Turn `Refused` into a status that the kubelet shows in the Pod's Events."""

    async def answer(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Message:
        try:
            return await method(request)
        except Refused as refusal:
            log.warning("refused: %s", refusal)
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))

    return answer
