"""Reading the kubelet's PodResources API: which devices it would allocate, and which container has which.

It promises that a `List` never runs while the kubelet allocates one of our devices: the kubelet would forget that device and could
offer it twice. Answers are whole or an error; silence is never taken for "nothing". It keeps nothing between calls.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from mig.names import RESOURCE_PREFIX
from nodeagent.kubelet.api import podresources_pb2 as pb

CALL_S = 5.0
"""Deadline of one call; the kubelet answers in a few milliseconds, and limits these calls to 100 a second, 10 at once."""

SETTLE_S = 0.25
"""The kubelet books a device milliseconds after our answer to `Allocate`; on a machine without a free processor, a tenth of a
second."""

EXPECT_S = 2.0
"""How long the `Allocate` that belongs to a preference is waited for. The kubelet regards the device as taken in between but has
not booked it; it gives the allocation up there only where it finds no device at all."""

POLL_S = 0.025

QUIET_WITHIN_S = 5.0
"""How long a `List` waits for a moment without allocations."""

CHANNEL_OPTIONS = (
    ("grpc.default_authority", "localhost"),  # else the socket's path, which the kubelet's HTTP/2 server refuses
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
)

_Response = TypeVar("_Response", bound=Message)


def serialize(message: Message) -> bytes:
    """What gRPC needs of a message; a function because the generated classes have the method each for themselves."""
    return message.SerializeToString()


class KubeletError(Exception):
    """The kubelet gave no answer: nothing is known, ask again later."""


class KubeletAway(KubeletError):
    """Nobody listens on the socket, or not with this API: the kubelet is down, restarting, or its folder is not mounted."""


class KubeletBusy(KubeletError):
    """It is there but did not answer in time, or limits our calls."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One device of one container, as the kubelet reports it. There is no Pod UID in it, and plain init containers are left out."""

    namespace: str
    pod: str
    container: str
    resource: str
    device_id: str


class AllocationGate:
    """Keeps `List` and the kubelet's allocations apart."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._allocating = 0
        self._quiet_until = float("-inf")
        self._one_list = asyncio.Lock()

    @asynccontextmanager
    async def allocating(self, *, then_quiet_s: float = SETTLE_S) -> AsyncIterator[None]:
        """Around each answer to `GetPreferredAllocation` and `Allocate`: waits for a running `List`, and keeps a new one away.

        `then_quiet_s` is for how long after the answer, unless another answer says otherwise: the kubelet admits one Pod at a time.
        """
        self._allocating += 1
        try:
            async with self._one_list:
                pass
            yield
        finally:
            self._allocating -= 1
            self._quiet_until = self._clock() + then_quiet_s

    @asynccontextmanager
    async def listing(self) -> AsyncIterator[None]:
        """Around each `List`. Raises `KubeletBusy` when allocations leave no gap in `QUIET_WITHIN_S`."""
        give_up = self._clock() + QUIET_WITHIN_S
        while True:
            async with self._one_list:
                if not self._allocating and self._clock() >= self._quiet_until:
                    yield
                    return
            if self._clock() > give_up:
                raise KubeletBusy(
                    f"the kubelet allocated devices without a pause for {QUIET_WITHIN_S:g} s; asking later"
                )
            await asyncio.sleep(POLL_S)


class PodResources:
    """The client. Connects when first asked, and again after the kubelet restarted."""

    def __init__(self, socket: Path, *, gate: AllocationGate) -> None:
        self._socket = socket
        self._gate = gate
        self._channel: grpc.aio.Channel | None = None

    async def allocatable(self) -> Mapping[str, frozenset[str]]:
        """The healthy device ids that the kubelet knows, by MIG resource. Raises `KubeletError`."""
        answer = await self._call(
            "GetAllocatableResources", pb.AllocatableResourcesRequest(), pb.AllocatableResourcesResponse
        )
        found: dict[str, set[str]] = {}
        for devices in answer.devices:
            if devices.resource_name.startswith(RESOURCE_PREFIX):
                found.setdefault(devices.resource_name, set()).update(devices.device_ids)
        return {resource: frozenset(ids) for resource, ids in found.items()}

    async def assigned(self) -> tuple[Assignment, ...]:
        """Which container has which MIG device. Raises `KubeletError`."""
        async with self._gate.listing():
            answer = await self._call("List", pb.ListPodResourcesRequest(), pb.ListPodResourcesResponse)
        return tuple(
            Assignment(pod.namespace, pod.name, container.name, devices.resource_name, device_id)
            for pod in answer.pod_resources
            for container in pod.containers
            for devices in container.devices
            if devices.resource_name.startswith(RESOURCE_PREFIX)
            for device_id in devices.device_ids
        )

    async def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()

    async def _call(self, method: str, request: Message, response: type[_Response]) -> _Response:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(f"unix:{self._socket}", options=CHANNEL_OPTIONS)
        call: grpc.aio.UnaryUnaryMultiCallable[Message, _Response] = self._channel.unary_unary(
            f"/v1.PodResourcesLister/{method}",
            request_serializer=serialize,
            response_deserializer=response.FromString,
        )
        try:
            answer: _Response = await call(request, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            raise self._meaning(method, error) from error
        return answer

    def _meaning(self, method: str, error: grpc.aio.AioRpcError) -> KubeletError:
        what = f"{method} on {self._socket}: {error.code().name}: {error.details()}"
        if error.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}:
            return KubeletBusy(what)
        return KubeletAway(what)
