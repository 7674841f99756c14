"""A node with a model kubelet and a model API server, both on real sockets: cheap enough to have a fresh one for each kill."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from mig.migspec import MigSpec, Spec
from mig.migspec_json import migspec_from_json, new_migspec, spec_to_json
from mig.names import ADOPT_ANNOTATION, PARTITIONING_LABEL, PARTITIONING_MIG
from nodeagent.kubelet.counts import Counts, counts_of
from simgpu import SimNode
from tests.support.apiserver import ApiServer, api_server
from tests.support.crash.agents import ForkServer
from tests.support.crash.goal import existing
from tests.support.crash.ground import Ground, Held, Wanted
from tests.support.instances import placed
from tests.support.model_kubelet import ModelKubelet

MIGSPECS = "apis/nos.nebuly.com/v1alpha1/migspecs"


@dataclass
class _Servers:
    """What a model node stands on."""

    kubelet: ModelKubelet
    api: ApiServer


class ModelGround(Ground):
    """One such node."""

    def __init__(self, name: str, folder: Path, sim: SimNode, forks: ForkServer, servers: _Servers) -> None:
        super().__init__(name, folder, sim, forks)
        self._kubelet = servers.kubelet
        self._api = servers.api
        self._kubeconfig = servers.api.kubeconfig(folder / "config")
        node = {"metadata": {"name": name}, "status": {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}}}
        self._node_uid = self._api.store.create("api/v1/nodes", "", node)["metadata"]["uid"]

    def arguments(self) -> list[str]:
        """As `Ground.arguments`."""
        return [
            *("--device-plugin-dir", str(self._kubelet.plugins)),
            *("--pod-resources-socket", str(self._kubelet.pod_resources)),
            *("--kubeconfig", str(self._kubeconfig)),
        ]

    def story(self) -> str:
        """As `Ground.story`, with what kubelet and API server saw."""
        seen = f"registered {len(self._kubelet.registrations)} times; lists {self._kubelet.history[-6:]}"
        return "\n".join([super().story(), seen, *(f"{method} {path}" for method, path in self._api.requests[-12:])])

    async def want(self, wanted: Wanted) -> None:
        """As `Ground.want`."""
        store, spec = self._api.store, self.spec(wanted)
        if ("", self.name) not in store.collection(MIGSPECS):
            obj = new_migspec(node=self.name, node_uid=self._node_uid, spec=Spec(0))
            store.create(MIGSPECS, "", {**obj, "spec": spec_to_json(spec)})
        else:
            obj = {**store.get(MIGSPECS, "", self.name), "spec": spec_to_json(spec)}
            store.update(MIGSPECS, "", self.name, obj)
        await self._api.notify()

    async def hand_over(self, *, adopt: str) -> None:
        """As `Ground.hand_over`."""
        node = self._api.store.get("api/v1/nodes", "", self.name)
        marks = {"labels": {PARTITIONING_LABEL: PARTITIONING_MIG}, "annotations": {ADOPT_ANNOTATION: adopt}}
        self._api.store.update("api/v1/nodes", "", self.name, {**node, "metadata": {**node["metadata"], **marks}})
        await self._api.notify()

    async def migspec(self) -> MigSpec:
        """As `Ground.migspec`."""
        return migspec_from_json(self._api.store.get(MIGSPECS, "", self.name))

    async def counts(self) -> Counts:
        """As `Ground.counts`."""
        return counts_of(self._api.store.get("api/v1/nodes", "", self.name))

    async def hold(self, gpu: int, place: str) -> Held:
        """As `Ground.hold`."""
        profile = placed(place).profile
        container = {"name": "main", "resources": {"limits": {profile.resource: "1"}}}
        spec = {"nodeName": self.name, "containers": [container]}
        pod = self._api.store.create(
            "api/v1/pods", "default", {"metadata": {"name": "holder"}, "spec": spec, "status": {"phase": "Running"}}
        )
        await self._api.notify()
        uuid = existing(self, gpu).whole[place]
        await self._kubelet.allocate("holder", "main", profile.resource, passed_on=uuid)
        return Held(gpu, place, uuid, "holder", pod["metadata"]["uid"])

    async def listed(self) -> Mapping[str, bool] | None:
        """As `Ground.listed`."""
        return {each: health == "Healthy" for ids in self._kubelet.lists.values() for each, health in ids.items()}

    async def give_twice(self, held: Held) -> str:
        """As `Ground.give_twice`: a kubelet that lost count asks for any device of the resource, that one included."""
        resource = placed(held.place).profile.resource
        count = self._kubelet.assigned.pop((held.pod, "main"))
        try:
            given = await self._kubelet.allocate("other", "main", resource, between=0.0)
        except grpc.aio.AioRpcError:
            return ""
        finally:
            self._kubelet.assigned[held.pod, "main"] = count
        self._kubelet.assigned.pop(("other", "main"))
        return str(given["NVIDIA_VISIBLE_DEVICES"])


@contextlib.asynccontextmanager
async def model_ground(folder: Path, *, name: str, gpus: Sequence[str], forks: ForkServer) -> AsyncIterator[Ground]:
    """A fresh node in an empty folder; everything of it ends with the block."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with api_server() as server:
        ground = ModelGround(name, folder, SimNode.create(folder / "sim", gpus=gpus), forks, _Servers(kubelet, server))
        try:
            yield ground
        finally:
            await ground.end_agents()
            await kubelet.stop()
