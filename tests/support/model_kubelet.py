"""A kubelet's device manager on real sockets, with the habits of the real one that matter, and faults where a test wants them.

It registers plugins, reads their lists, allocates as the kubelet does (a preference first, except for a device that passes on
within a Pod) and answers PodResources. A `List` that runs while it allocates makes it forget that device, as the real one does.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.api import podresources_pb2 as resources
from nodeagent.kubelet.podresources import serialize


@dataclass
class Plugin:
    """One registered plugin."""

    request: pb.RegisterRequest
    channel: grpc.aio.Channel
    options: pb.DevicePluginOptions
    stream: asyncio.Task[None] | None = None

    async def call(self, method: str, request: Any, answer: type[Any]) -> Any:
        """One unary call."""
        call = self.channel.unary_unary(
            f"/v1beta1.DevicePlugin/{method}", request_serializer=serialize, response_deserializer=answer.FromString
        )
        return await call(request, timeout=5)


@dataclass
class ModelKubelet:
    """Not running until `start`; after `stop`, `start` is a restart: it forgets plugins and deletes their sockets."""

    folder: Path
    registrations: list[pb.RegisterRequest] = field(default_factory=list)
    lists: dict[str, dict[str, str]] = field(default_factory=dict)
    """The newest list of each resource: id and health."""
    history: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    assigned: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """(pod, container) and its resource and ids."""
    foreign: dict[str, set[str]] = field(default_factory=dict)
    """Ids that another plugin offers."""
    opens_streams: bool = True
    takes_in_lists: bool = True
    hangs_up: bool = False
    accepts: bool = True
    fault: grpc.StatusCode | None = None
    """How PodResources answers, if not properly."""
    list_may_end: asyncio.Event = field(default_factory=asyncio.Event)
    lists_running: int = 0
    list_calls: int = 0
    allocating: set[str] = field(default_factory=set)
    forgotten: list[str] = field(default_factory=list)
    """Devices that were being allocated while a `List` ran: the real kubelet could now offer them twice."""
    answers: list[pb.ContainerAllocateResponse] = field(default_factory=list)
    """What each `Allocate` said, whole."""
    _plugins: dict[str, Plugin] = field(default_factory=dict)
    _all_plugins: list[Plugin] = field(default_factory=list)
    _servers: list[grpc.aio.Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.list_may_end.set()
        self.plugins.mkdir(exist_ok=True)

    @property
    def plugins(self) -> Path:
        """Its device-plugin folder."""
        return self.folder / "plugins"

    @property
    def pod_resources(self) -> Path:
        """Its PodResources socket."""
        return self.folder / "resources.sock"

    async def start(self) -> None:
        """Come up, as after a boot or a restart."""
        for path in [*self.plugins.glob("*.sock"), self.pod_resources]:
            path.unlink(missing_ok=True)
        self.lists = {}
        services: dict[Path, tuple[str, dict[str, tuple[Any, type[Any]]]]] = {
            self.pod_resources: (
                "v1.PodResourcesLister",
                {
                    "List": (self._list, resources.ListPodResourcesRequest),
                    "GetAllocatableResources": (self._allocatable, resources.AllocatableResourcesRequest),
                },
            ),
            self.plugins / "kubelet.sock": ("v1beta1.Registration", {"Register": (self._register, pb.RegisterRequest)}),
        }
        for path, (service, methods) in services.items():
            server = grpc.aio.server()
            handlers = {
                name: grpc.unary_unary_rpc_method_handler(
                    method, request_deserializer=request.FromString, response_serializer=serialize
                )
                for name, (method, request) in methods.items()
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
            server.add_insecure_port(f"unix:{path}")
            await server.start()
            self._servers.append(server)

    async def stop(self) -> None:
        """Die: connections break, sockets stay behind."""
        for plugin in self._all_plugins:
            if plugin.stream is not None:
                plugin.stream.cancel()
                await asyncio.gather(plugin.stream, return_exceptions=True)
            await plugin.channel.close()
        for server in self._servers:
            await server.stop(grace=None)
        self._plugins, self._all_plugins, self._servers = {}, [], []

    async def break_stream(self, resource: str) -> None:
        """End one plugin's stream, and go on living."""
        plugin = self._plugins.pop(resource)
        assert plugin.stream is not None
        plugin.stream.cancel()
        await asyncio.gather(plugin.stream, return_exceptions=True)
        await plugin.channel.close()
        self.lists[resource] = {}

    def healthy(self, resource: str) -> set[str]:
        """The ids that it would allocate, but for those that are taken."""
        return {each for each, health in self.lists.get(resource, {}).items() if health == "Healthy"}

    def free(self, resource: str) -> set[str]:
        """The ids that it regards as free."""
        taken = {each for of, ids in self.assigned.values() for each in ids if of == resource}
        return self.healthy(resource) - taken

    async def allocate(
        self, pod: str, container: str, resource: str, *, passed_on: str | None = None, between: float = 0.0
    ) -> Mapping[str, str]:
        """Admit a container with one device, a new one or the one that an init container passes on; its environment.

        Raises `grpc.aio.AioRpcError` as the plugin refuses. `between` is the time from the preference to the allocation.
        """
        plugin = self._plugins[resource]
        chosen = passed_on or await self._prefer(plugin, resource)
        self.allocating.add(chosen)
        try:
            await asyncio.sleep(between)
            request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(device_ids=[chosen])])
            answer = await plugin.call("Allocate", request, pb.AllocateResponse)
        finally:
            self.allocating.discard(chosen)
        self.answers += answer.container_responses
        self.assigned[pod, container] = (resource, (chosen,))
        return dict(answer.container_responses[0].envs)

    async def _prefer(self, plugin: Plugin, resource: str) -> str:
        free = self.free(resource)
        wish = pb.ContainerPreferredAllocationRequest(available_device_ids=free, allocation_size=1)
        request = pb.PreferredAllocationRequest(container_requests=[wish])
        answer = await plugin.call("GetPreferredAllocation", request, pb.PreferredAllocationResponse)
        preferred = [each for each in answer.container_responses[0].device_ids if each in free]
        return preferred[0] if preferred else min(free)

    async def pre_start(self, resource: str, device_id: str) -> None:
        """Ask the plugin whether a container with that device may start."""
        request = pb.PreStartContainerRequest(device_ids=[device_id])
        await self._plugins[resource].call("PreStartContainer", request, pb.PreStartContainerResponse)

    async def until(self, condition: Callable[[], bool], *, what: str, within_s: float = 20.0) -> None:
        """Wait for a condition; a time-out names it."""
        give_up = asyncio.get_running_loop().time() + within_s
        while not condition():
            assert asyncio.get_running_loop().time() < give_up, f"not within {within_s:g} s: {what}"
            await asyncio.sleep(0.002)

    async def _register(self, request: pb.RegisterRequest, context: Any) -> pb.Empty:
        if not self.accepts:
            await context.abort(grpc.StatusCode.UNKNOWN, "no more plugins, please")
        self.registrations.append(request)
        channel = grpc.aio.insecure_channel(
            f"unix:{self.plugins / request.endpoint}", options=(("grpc.default_authority", "localhost"),)
        )
        plugin = Plugin(request, channel, pb.DevicePluginOptions())
        plugin.options = await plugin.call("GetDevicePluginOptions", pb.Empty(), pb.DevicePluginOptions)
        self._plugins[request.resource_name] = plugin
        self._all_plugins.append(plugin)
        if self.opens_streams:
            plugin.stream = asyncio.create_task(self._follow(plugin))
        return pb.Empty()

    async def _follow(self, plugin: Plugin) -> None:
        watch = plugin.channel.unary_stream(
            "/v1beta1.DevicePlugin/ListAndWatch",
            request_serializer=serialize,
            response_deserializer=pb.ListAndWatchResponse.FromString,
        )
        resource = plugin.request.resource_name
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            call = watch(pb.Empty())
            async for answer in call:
                devices = {each.id: each.health for each in answer.devices}
                self.history.append((resource, devices))
                if self.takes_in_lists:
                    self.lists[resource] = devices
                if self.hangs_up:
                    call.cancel()
        if self._plugins.get(resource) is plugin:
            self.lists[resource] = dict.fromkeys(self.lists.get(resource, {}), "Unhealthy")

    async def _allocatable(self, _request: Any, context: Any) -> resources.AllocatableResourcesResponse:
        await self._fail(context)
        offered = {resource: self.healthy(resource) | self.foreign.get(resource, set()) for resource in self.lists}
        return resources.AllocatableResourcesResponse(
            devices=[
                resources.ContainerDevices(resource_name=resource, device_ids=[each])
                for resource, ids in {**self.foreign, **offered}.items()
                for each in ids
            ]
        )

    async def _list(self, _request: Any, context: Any) -> resources.ListPodResourcesResponse:
        await self._fail(context)
        self.list_calls += 1
        self.lists_running += 1
        self.forgotten += self.allocating
        await self.list_may_end.wait()
        self.lists_running -= 1
        pods: dict[str, list[resources.ContainerResources]] = {}
        for (pod, container), (resource, ids) in self.assigned.items():
            devices = resources.ContainerDevices(resource_name=resource, device_ids=ids)
            pods.setdefault(pod, []).append(resources.ContainerResources(name=container, devices=[devices]))
        return resources.ListPodResourcesResponse(
            pod_resources=[
                resources.PodResources(name=pod, namespace="default", containers=c) for pod, c in pods.items()
            ]
        )

    async def _fail(self, context: Any) -> None:
        if self.fault is not None:
            await context.abort(self.fault, "a fault of the test")
