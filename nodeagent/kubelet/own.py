"""The kubelet's side where the device plugin is our own: everything between the agent and the kubelet, behind one door.

The agent offers slices, withdraws and drops them, and asks who has what; registration, the kubelet's restarts, the lists and the
Node's counts follow by themselves while `run` runs. It promises that a slice is
offered only when the kubelet would allocate it, that the Node's counts become those of the offers at once, and that no slice goes
to a second Pod before its hand-out was forgotten. It touches no hardware and decides nothing about slices.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from kube.client import Api
from kube.resource import NODES
from mig.profiles import Profile
from nodeagent.kubelet.counts import CountPublisher, Counts
from nodeagent.kubelet.handing import Handing
from nodeagent.kubelet.kubeletside import KubeletStatus
from nodeagent.kubelet.listing import Expected, Listing
from nodeagent.kubelet.offers import Device, Offers
from nodeagent.kubelet.plugin import PluginServer
from nodeagent.kubelet.podresources import AllocationGate, Assignment, PodResources
from nodeagent.kubelet.registration import Registration, keep_registered, remove_left_overs
from nodeagent.kubelet.rivals import conflict, rival_sockets

PATCH_S = 5.0
"""Deadline of one patch of the Node."""

RIVALS_S = 10.0
"""How often other plugins' sockets are looked for."""

STRAYS_AFTER_S = 10.0
"""Counts of resources that we do not offer are left alone so long after the start, until existing slices have been offered."""


class Kubelet:
    """The kubelet of this node. All methods belong to the event loop; offers may be made before `run`."""

    def __init__(
        self,
        *,
        node_name: str,
        device_plugin_dir: Path,
        pod_resources_socket: Path,
        api: Api,
        clock: Callable[[], float],
        on_change: Callable[[], None],
        verify: Callable[[str], bool],
        handing: Handing,
    ) -> None:
        """`clock` counts seconds and never goes back. `on_change` is called, at once and often, when an answer changes.

        `verify` answers whether the slice with this UUID is still on its GPU: a container that was given it is about to start.
        """
        self._directory = device_plugin_dir
        self._clock = clock
        self._on_change = on_change
        self._verify = verify
        self._handing = handing
        self._started_at = clock()
        self._offers = Offers(clock=clock)
        self._gate = AllocationGate(clock=clock)
        self._pod_resources = PodResources(pod_resources_socket, gate=self._gate)
        self._registrations: dict[Profile, Registration] = {}
        self._rivals: tuple[str, ...] = ()
        self._listing = Listing(
            self._pod_resources.allocatable,
            expected=self._expected,
            renew=self._renew,
            clock=clock,
            on_change=self._listed_changed,
        )

        async def patch_status(patch: Mapping[str, Any]) -> Mapping[str, Any]:
            return await api.merge_patch(NODES, node_name, patch, subresource="status", timeout_s=PATCH_S)

        self._counts = CountPublisher(
            wanted=self._wanted_counts, patch_status=patch_status, clock=clock, on_change=on_change
        )

    async def run(self) -> None:
        """Keep the resources registered, the lists read and the Node's counts true. Eternal; one a node (hold the node's lock)."""
        remove_left_overs(self._directory)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listing.run())
                tasks.create_task(self._counts.run())
                tasks.create_task(self._follow_hand_outs())
                tasks.create_task(self._let_successors_in())
                tasks.create_task(self._watch_for_rivals())
                await self._follow_offers(tasks)
        finally:
            await self._pod_resources.close()

    # Offering.

    def offer(self, device: Device) -> None:
        """From now on healthy in its resource's list; also a withdrawn device that stays after all.

        Not yet where a container could not be told of it; `status` says why then, and the next call tries again. Where its id is
        still listed under another profile it follows by itself, at most 2 s later (see `Offers.offer`).
        """
        if self._handing.prepare(device):
            self._offers.offer(device)

    def withdraw(self, device_id: str) -> None:
        """From now on unhealthy: handed out no more, still listed, and not counted."""
        self._offers.withdraw(device_id)

    def drop(self, device_id: str) -> None:
        """The id of a slice that was destroyed leaves the list; at least 2 s after `withdraw` (see `Offers.drop`)."""
        self._offers.drop(device_id)
        if self._offers.device(device_id) is None:
            self._handing.forget(device_id)

    def hold_back(self, device_ids: AbstractSet[str]) -> None:
        """These count as not allocatable though still healthy: the first step of taking them away. Replaces the last set."""
        self._offers.hold_back(device_ids)

    def book_preference(self, claimed: Mapping[Profile, Sequence[str]]) -> None:
        """The ids to hand out first: of claimed slices whose Pod has no device yet. Replaces the last such order."""
        self._offers.prefer(claimed)

    def mark_in_use(self, device_ids: AbstractSet[str]) -> None:
        """The ids that a Pod or process has now (not: that are merely claimed). No new Pod gets one. Replaces the last set."""
        self._offers.mark_in_use(device_ids)

    # Who has what.

    def handed_out(self) -> Mapping[str, float]:
        """When each id was last handed out (or a container with it started), for those not forgotten since."""
        return self._offers.handed_out

    def forget_handout(self, device_id: str) -> None:
        """Its Pod is gone, or never got it."""
        self._offers.forget_handout(device_id)

    def offered_now(self) -> frozenset[str]:
        """The healthy ids that the kubelet would allocate, as of its last answer; none while it is away."""
        return frozenset().union(*(self._offered(profile) for profile in self._offers.profiles))

    def _offered(self, profile: Profile) -> frozenset[str]:
        return self._offers.healthy(profile) & self._listing.listed.get(profile.resource, frozenset())

    async def assigned_now(self) -> Sequence[Assignment]:
        """Which container has which MIG device. Raises `KubeletError` when that is not known now."""
        return await self._pod_resources.assigned()

    # The Node.

    def node_seen(self, node: Mapping[str, Any]) -> None:
        """Take in each version of our Node: where it shows other counts than the offers give, it is patched again."""
        self._counts.node_seen(node)

    def counts_published(self, profile: Profile) -> bool:
        """Whether the newest known version of the Node shows the present counts of this profile."""
        return self._counts.published(profile.resource)

    async def wait_counts(self, profile: Profile) -> None:
        """Return once `counts_published`; bound it with `asyncio.timeout`."""
        await self._counts.wait_published(profile.resource)

    def ready(self, device_id: str, profile: Profile) -> bool:
        """Whether a Pod can be bound to it: the kubelet offers it, and the Node shows the count that includes it."""
        return self.counts_published(profile) and device_id in self._offered(profile)

    def ready_now(self) -> frozenset[str]:
        """All ids that are `ready`."""
        published = (profile for profile in self._offers.profiles if self.counts_published(profile))
        return frozenset().union(*(self._offered(profile) for profile in published))

    @property
    def status(self) -> KubeletStatus:
        """How we stand with the kubelet."""
        registrations = (registration.trouble for registration in self._registrations.values())
        rivals = conflict(sockets=self._rivals, foreign=sorted(self._listing.foreign))
        troubles = dict.fromkeys(
            (self._listing.trouble, *registrations, rivals, self._counts.trouble, *self._handing.troubles)
        )
        return KubeletStatus(reachable=self._listing.answered, troubles=tuple(each for each in troubles if each))

    @property
    def unoffered(self) -> str:
        """What a slice waits for that exists and is not ready."""
        return "exists; the kubelet does not offer it yet"

    # Inside.

    async def _follow_offers(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            seen = self._offers.changed.count
            for profile in self._offers.profiles - self._registrations.keys():
                registration = self._registrations[profile] = Registration(profile.resource)
                tasks.create_task(self._keep(profile, registration))
            self._stream_changed()
            await self._offers.changed.beyond(seen)

    async def _keep(self, profile: Profile, registration: Registration) -> None:
        def make_server() -> PluginServer:
            return PluginServer(
                profile,
                offers=self._offers,
                handing=self._handing,
                gate=self._gate,
                verify=self._verify,
                on_stream=self._stream_changed,
            )

        await keep_registered(
            registration, directory=self._directory, make_server=make_server, on_change=self._stream_changed
        )

    async def _follow_hand_outs(self) -> None:
        seen = self._offers.handed.count
        while True:
            await self._offers.handed.beyond(seen)
            seen = self._offers.handed.count
            self._on_change()

    async def _let_successors_in(self) -> None:
        while True:
            seen = self._offers.changed.count
            await self._offers.changed.beyond_or_after(seen, self._offers.let_in())

    async def _watch_for_rivals(self) -> None:
        while True:
            rivals = rival_sockets(self._directory)
            if rivals != self._rivals:
                self._rivals = rivals
                self._on_change()
            self._counts.nudge()
            await asyncio.sleep(RIVALS_S)

    def _renew(self, resource: str) -> None:
        for registration in self._registrations.values():
            if registration.resource == resource and not self._rivals:
                registration.renew()

    def _stream_changed(self) -> None:
        self._listing.poke()
        self._listed_changed()

    def _listed_changed(self) -> None:
        self._counts.nudge()
        self._on_change()

    def _expected(self) -> Expected:
        connected = (profile for profile, each in self._registrations.items() if each.connected)
        return Expected(
            healthy={profile.resource: self._offers.healthy(profile) for profile in connected},
            known=frozenset(line.id for profile in self._offers.profiles for line in self._offers.listed(profile)),
        )

    def _wanted_counts(self) -> Counts:
        """Allocatable: what the kubelet would hand out, less what is held back. Capacity: that and what is withdrawn."""
        offered = self.offered_now()
        capacity: dict[str, int] = {}
        allocatable: dict[str, int] = {}
        for profile in self._offers.profiles:
            listed = {line.id for line in self._offers.listed(profile)}
            healthy = self._offers.healthy(profile)
            capacity[profile.resource] = len(listed - healthy) + len(healthy & offered)
            allocatable[profile.resource] = len((healthy & offered) - self._offers.held_back)
        return Counts(capacity=capacity, allocatable={**self._strays(), **allocatable})

    def _strays(self) -> dict[str, int]:
        """Zero for resources that the Node still counts and nobody offers: slices of before a restart of ours that are gone.

        Only allocatable, by which Pods are bound; the kubelet clears its own capacity after 5 minutes.
        """
        if not self._listing.answered or self._rivals or self._clock() - self._started_at < STRAYS_AFTER_S:
            return {}
        return dict.fromkeys(self._counts.shown.allocatable.keys() - self._listing.offered_by_anybody, 0)
