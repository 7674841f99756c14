"""A device plugin with no wits: one resource, devices that are there from the start. What others are measured or tested beside.

The least that the kubelet accepts, so that what is above it in a measurement is ours and not the comparison's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.podresources import CHANNEL_OPTIONS, serialize


class PlainPlugin:
    """Serves these devices to one kubelet while its block runs. `variable` is told to containers with the ids that they got."""

    def __init__(
        self, directory: Path, *, resource: str, devices: Sequence[str], socket: str, variable: str = ""
    ) -> None:
        self._directory = directory
        self._resource = resource
        self._devices = [pb.Device(id=device_id, health="Healthy") for device_id in devices]
        self._socket = socket
        self._variable = variable

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen, register, serve."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", self._handlers()),)
        )
        (self._directory / self._socket).unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{self._directory / self._socket}")
        await server.start()
        try:
            await self._register()
            yield
        finally:
            await server.stop(0)

    async def _register(self) -> None:
        request = pb.RegisterRequest(version="v1beta1", endpoint=self._socket, resource_name=self._resource)
        channel = grpc.aio.insecure_channel(f"unix:{self._directory}/kubelet.sock", options=CHANNEL_OPTIONS)
        async with channel:
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
                self._list, request_deserializer=pb.Empty.FromString, response_serializer=serialize
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
            container_responses=[
                pb.ContainerAllocateResponse(envs={self._variable: ",".join(each.device_ids)} if self._variable else {})
                for each in request.container_requests
            ]
        )


def _unary(handler: Any, request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        handler, request_deserializer=request.FromString, response_serializer=serialize
    )
