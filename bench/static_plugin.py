"""A plain device plugin: devices that exist from the start, no gate, no allocator. What ours is measured beside.

The least that the kubelet accepts, so that what is above it in a measurement is ours and not the comparison's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from nodeagent.api import deviceplugin_pb2 as pb

RESOURCE = "static.example/slice"


class _Message(Protocol):
    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


class StaticPlugin:
    """Serves `count` devices of one resource to one kubelet while its block runs."""

    def __init__(self, directory: Path, *, count: int) -> None:
        self._directory = directory
        self._devices = [pb.Device(id=f"static-{n}", health="Healthy") for n in range(count)]

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen, register, serve."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", self._handlers()),)
        )
        server.add_insecure_port(f"unix:{self._directory}/static.sock")
        await server.start()
        try:
            await self._register()
            yield
        finally:
            await server.stop(0)

    async def _register(self) -> None:
        request = pb.RegisterRequest(version="v1beta1", endpoint="static.sock", resource_name=RESOURCE)
        async with grpc.aio.insecure_channel(f"unix:{self._directory}/kubelet.sock") as channel:
            call = channel.unary_unary(
                "/v1beta1.Registration/Register",
                request_serializer=pb.RegisterRequest.SerializeToString,
                response_deserializer=pb.Empty.FromString,
            )
            await call(request, timeout=15)

    def _handlers(self) -> dict[str, Any]:
        return {
            "GetDevicePluginOptions": _unary(self._options, pb.Empty),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                self._list, request_deserializer=pb.Empty.FromString, response_serializer=_bytes
            ),
            "Allocate": _unary(self._allocate, pb.AllocateRequest),
        }

    async def _options(self, _request: object, _context: object) -> pb.DevicePluginOptions:
        return pb.DevicePluginOptions()

    async def _list(self, _request: object, _context: object) -> AsyncIterator[pb.ListAndWatchResponse]:
        yield pb.ListAndWatchResponse(devices=self._devices)
        await asyncio.Event().wait()

    async def _allocate(self, request: pb.AllocateRequest, _context: object) -> pb.AllocateResponse:
        return pb.AllocateResponse(
            container_responses=[pb.ContainerAllocateResponse() for _ in request.container_requests]
        )


def _unary(handler: Any, request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        handler, request_deserializer=request.FromString, response_serializer=_bytes
    )


def _bytes(message: _Message) -> bytes:
    return message.SerializeToString()
