"""A node with a real kubelet, scheduler and API server, for agents to be killed on one after the other, with real Pods on it."""

import time
from collections.abc import Mapping
from pathlib import Path

from demo.stack import NAMESPACE
from kube.resource import NODES
from mig.migspec import MigSpec
from mig.migspec_json import spec_to_json
from nodeagent.kubelet.counts import Counts, counts_of
from nodeagent.kubelet.podresources import AllocationGate, KubeletError, PodResources
from tests.support.agenthost import AgentHost
from tests.support.crash.agents import ForkServer
from tests.support.crash.goal import existing
from tests.support.crash.ground import Ground, Held, Wanted
from tests.support.instances import placed


class RealGround(Ground):
    """The node of an `AgentHost`, whose agents come from the fork server instead."""

    def __init__(self, host: AgentHost, forks: ForkServer) -> None:
        super().__init__(host.node, host.folder, host.sim, forks)
        self._host = host
        here = host.stack.nodes[host.node].node
        self._plugins, self._socket = here.device_plugin_dir, here.pod_resources_socket
        self._kubeconfig: Path = host.stack.cluster.service_account_kubeconfig(
            NAMESPACE, "nos-mig-nodeagent", node=host.node
        )
        self._pod_resources = PodResources(self._socket, gate=AllocationGate(clock=time.monotonic))

    async def close(self) -> None:
        """End what is open."""
        await self.end_agents()
        await self._pod_resources.close()

    def arguments(self) -> list[str]:
        """As `Ground.arguments`."""
        return [
            *("--device-plugin-dir", str(self._plugins), "--pod-resources-socket", str(self._socket)),
            *("--kubeconfig", str(self._kubeconfig)),
        ]

    async def want(self, wanted: Wanted) -> None:
        """As `Ground.want`."""
        await self._host.write(spec_to_json(self.spec(wanted)))

    async def hand_over(self, *, adopt: str) -> None:
        """As `Ground.hand_over`."""
        await self._host.hand_over()
        await self._host.adopt(adopt)

    async def migspec(self) -> MigSpec:
        """As `Ground.migspec`."""
        return await self._host.migspec()

    async def counts(self) -> Counts:
        """As `Ground.counts`."""
        return counts_of(await self._host.api.get(NODES, self.name))

    async def hold(self, gpu: int, place: str) -> Held:
        """As `Ground.hold`; it must be the only slice of its profile."""
        uuid = existing(self, gpu).whole[place]
        uid = await self._host.run_pod("holder", str(placed(place).profile))
        await self._host.until_phase("holder", "Running")
        assert self._host.devices_of("holder") == uuid
        return Held(gpu, place, uuid, "holder", uid)

    async def listed(self) -> Mapping[str, bool] | None:
        """As `Ground.listed`; this kubelet says only what it would allocate."""
        try:
            found = await self._pod_resources.allocatable()
        except KubeletError:
            return {}
        return {each: True for ids in found.values() for each in ids}

    async def give_twice(self, held: Held) -> str:
        """As `Ground.give_twice`: a real kubelet cannot be made to. What its Pod was given must not change either."""
        pod = await self._host.until_phase(held.pod, "Running")
        assert pod["metadata"]["uid"] == held.uid
        assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]
        return "" if self._host.devices_of(held.pod) == held.uuid else held.uuid
