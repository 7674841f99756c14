"""The kubelet's side where NVIDIA's device plugin stays (mixed strategy): it offers the slices, and is made to enumerate again.

It promises that the plugin is started anew only for a slice that it has not seen, or one that is gone (one that it has withdrawn
itself, since it watches the GPUs' health, is no reason): once for slices that are made together, never while slices are being made
or taken away, and never while a bound Pod lacks its device (it would fail for good); that a slice is ready only when the kubelet
lists it and the Node counts it; and that the Node counts only what a Pod can have (`nvidia_plugin_book`). The counts are patched as
beside our own plugin: the kubelet itself tells of a new one up to 10 s later, and what it tells while slices are taken away, or
before the plugin is started anew, would let a Pod be bound that must fail.

What it cannot promise: nobody tells us of an `Allocate`, and no id can be marked unhealthy. A slice is taken away by closing its
whole resource (only what Pods hold counts), letting bindings under way arrive, looking at PodResources, and destroying it at once;
it stays listed until the plugin has enumerated again, and the resource stays closed as long. A Pod that comes round the scheduler
(`spec.nodeName`, static), or that a scheduler binds later than the settling time after it decided, can be given the slice while it
is destroyed (its container does not start), or be bound while the plugin starts (it fails).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

from kube.client import Api
from kube.resource import NODES
from mig.profiles import Profile
from nodeagent.kubelet.counts import CountPublisher, Counts
from nodeagent.kubelet.kubeletside import Assignment, Device, KubeletStatus
from nodeagent.kubelet.listing import Lasting
from nodeagent.kubelet.podresources import AllocationGate, PodResources
from nodeagent.nvidia.book import Book
from nodeagent.nvidia.entries import Entry, entries
from nodeagent.nvidia.listing import Enumerated
from nodeagent.nvidia.node import NodeView
from nodeagent.nvidia.pods import PluginPods
from nodeagent.nvidia.shown import Shown
from nodeagent.nvidia.starter import Starter
from nodeagent.nvidia.symptoms import Symptom, symptom
from nodeagent.pulse import Pulse

PATCH_S: Final = 5.0
"""Deadline of one patch of the Node."""

ALLOCATED_AFTER_S: Final = 0.2
"""PodResources is listed no sooner after a Pod was bound: a `List` during an `Allocate` can make the kubelet forget that device. It
allocates within milliseconds of the binding; since nobody tells us when, this lowers a chance and promises nothing."""

LOOK_S: Final = 1.0
RESYNC_S: Final = 10.0
"""How often it is judged how long something has been wrong, while something is, and else."""


class NvidiaPlugin:
    """`KubeletSide` beside NVIDIA's device plugin."""

    def __init__(
        self,
        *,
        node_name: str,
        namespace: str,
        selectors: Sequence[str],
        pod_resources_socket: Path,
        api: Api,
        node: NodeView,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        """`namespace` (empty: any) and `selectors` say which Pods are the plugin's. `on_change` is called, at once and often."""
        self._clock = clock
        self._on_change = on_change
        self._node = node
        self._changed = Pulse()
        self._offered: dict[str, Profile] = {}
        self._profiles: set[Profile] = set()
        self._withdrawn: set[str] = set()
        self._held_back: frozenset[str] = frozenset()
        self._in_use: frozenset[str] = frozenset()
        self._process: tuple[str, int] | None = None
        self._wrong = Lasting(clock=clock)
        self._pod_resources = PodResources(pod_resources_socket, gate=AllocationGate(clock=clock))
        self._listing = Enumerated(
            self._pod_resources.allocatable,
            awaited=lambda: self._starter.awaiting,
            clock=clock,
            on_change=self._fact_changed,
        )
        self._pods = PluginPods(
            api,
            node_name=node_name,
            namespace=namespace,
            selectors=selectors,
            clock=clock,
            on_change=self._pods_changed,
        )

        async def patch_status(patch: Mapping[str, Any]) -> Mapping[str, Any]:
            return await api.merge_patch(NODES, node_name, patch, subresource="status", timeout_s=PATCH_S)

        self._counts = CountPublisher(
            wanted=self._wanted_counts, patch_status=patch_status, clock=clock, on_change=self._counts_changed
        )
        self._shown = Shown(self._counts, wanted=self._wanted_counts, clock=clock, on_settled=self._fact_changed)
        self._starter = Starter(
            stale=self._outdated,
            goal=lambda: (self._book().meant, node.present(frozenset())),
            counts_shown=self._shown.settled,
            pods=self._pods,
            listing=self._listing,
            node=node,
            clock=clock,
            on_change=self._fact_changed,
        )

    async def run(self) -> None:
        """Keep the plugin's enumeration and the Node's counts true. Eternal; one a node (hold the node's lock)."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listing.run(), name="listing")
                tasks.create_task(self._counts.run(), name="counts")
                tasks.create_task(self._pods.run(), name="plugin-pods")
                tasks.create_task(self._starter.run(), name="plugin-starter")
                tasks.create_task(self._follow_node(), name="node")
                tasks.create_task(self._follow_status(), name="status")
        finally:
            await self._pod_resources.close()

    # Offering.

    def offer(self, device: Device) -> None:
        """From now on the plugin is to list it; also a withdrawn device that stays after all."""
        if self._offered.get(device.id) != device.profile or device.id in self._withdrawn:
            self._offered[device.id] = device.profile
            self._profiles.add(device.profile)
            self._withdrawn.discard(device.id)
            self._fact_changed()

    def withdraw(self, device_id: str) -> None:
        """Its resource counts only what Pods hold, for as long as the kubelet lists it and it is not offered again."""
        if device_id in self._offered and device_id not in self._withdrawn:
            self._withdrawn.add(device_id)
            self._fact_changed()

    def drop(self, device_id: str) -> None:
        """Forget the id of a slice that was destroyed; one that was offered again meanwhile stays."""
        if device_id in self._withdrawn:
            self._withdrawn.discard(device_id)
            self._offered.pop(device_id, None)
            self._fact_changed()

    def hold_back(self, device_ids: AbstractSet[str]) -> None:
        """Their resources count only what Pods hold. Replaces the last set."""
        if self._held_back != device_ids:
            self._held_back = frozenset(device_ids)
            self._fact_changed()

    def book_preference(self, claimed: Mapping[Profile, Sequence[str]]) -> None:
        """Nothing: here the kubelet chooses among equal slices."""

    def mark_in_use(self, device_ids: AbstractSet[str]) -> None:
        """What Pods hold may have changed, and with it the counts. By whom a slice is used is read from the node's state."""
        if self._in_use != device_ids:
            self._in_use = frozenset(device_ids)
            self._judge_counts()

    # Who has what.

    def handed_out(self) -> Mapping[str, float]:
        """Nothing: nobody tells us of an `Allocate`."""
        return {}

    def forget_handout(self, device_id: str) -> None:
        """Nothing to forget."""

    def offered_now(self) -> frozenset[str]:
        """Ours that the kubelet would allocate and that are not withdrawn."""
        listed = entries(self._listing.listed)
        ours = {each for each, profile in self._offered.items() if Entry(profile.resource, each) in listed}
        return frozenset(ours - self._withdrawn)

    async def assigned_now(self) -> Sequence[Assignment]:
        """Which container has which MIG device. Raises `KubeletError` when that is not known now."""
        too_soon_s = ALLOCATED_AFTER_S - self._node.bound_for_s()
        if too_soon_s > 0:
            await asyncio.sleep(too_soon_s)
        return await self._pod_resources.assigned()

    # The Node.

    def node_seen(self, node: Mapping[str, Any]) -> None:
        """Take in each version of our Node. Where its counts changed, the plugin's list may have."""
        before = self._counts.shown
        self._counts.node_seen(node)
        if self._counts.shown != before:
            self._listing.poke()

    def counts_published(self, profile: Profile) -> bool:
        """Whether the Node has shown for a while the count of this profile as it should be."""
        return self._counts.published(profile.resource) and self._shown.settled()

    def ready_now(self) -> frozenset[str]:
        """Ours that the kubelet would allocate and that the Node counts."""
        book = self._book()
        return frozenset(each for each in book.ready if self._counts.published(self._offered[each].resource))

    @property
    def status(self) -> KubeletStatus:
        """How we stand with the kubelet and with the plugin."""
        now = self._symptom()
        lasting = {now.sentence} if now and now.name in self._wrong.for_at_least(now.after_s) else frozenset[str]()
        told = (self._listing.trouble, self._pods.trouble, self._starter.trouble, *lasting, self._counts.trouble)
        return KubeletStatus(reachable=self._listing.answered, troubles=tuple(each for each in told if each))

    @property
    def unoffered(self) -> str:
        """What a slice waits for that exists and is not ready."""
        return "exists; waits for NVIDIA's device plugin to enumerate it and for the Node to count it"

    # Inside.

    @property
    def _leaving(self) -> frozenset[str]:
        return self._held_back | self._withdrawn

    def _book(self) -> Book:
        return Book(
            offered=self._offered,
            leaving=self._leaving,
            listed=self._listing.listed,
            present=self._node.present(entries(self._listing.listed)),
            uses=self._node.uses(),
            closed=self._starter.closed,
        )

    def _outdated(self) -> bool:
        """Whether the plugin would find something else if it enumerated now."""
        book = self._book()
        return self._node.known and self._listing.answered and bool(book.missing - self._listing.ever or book.gone)

    def _wanted_counts(self) -> Counts:
        """Nothing before hardware and usage are known: what the Node shows until then is the kubelet's business."""
        if not (self._node.known and self._listing.asked):
            return Counts()
        known = {profile.resource for profile in self._profiles} | self._counts.shown.allocatable.keys()
        return self._book().counts(known)

    def _symptom(self) -> Symptom | None:
        if not (self._pods.synced and self._node.known):
            return None
        book = self._book()
        return symptom(
            pods=self._pods.alive,
            where=self._pods.where,
            missing=book.missing,
            gone=book.gone,
            cut_up=self._node.cut_up(),
        )

    async def _follow_node(self) -> None:
        """Counts and rounds depend on what the agent knows of hardware and usage, too."""
        seen = -1
        while True:
            seen = await self._node.changed(seen)
            self._judge_counts()

    async def _follow_status(self) -> None:
        """Tell when something has been wrong for long enough, or no longer is."""
        told: tuple[str, ...] = ()
        while True:
            seen = self._changed.count
            now = self._symptom()
            self._wrong.update(frozenset({now.name} if now else ()))
            if self.status.troubles != told:
                told = self.status.troubles
                self._on_change()
            await self._changed.beyond_or_after(seen, LOOK_S if now else RESYNC_S)

    def _pods_changed(self) -> None:
        process = self._pods.process
        if process is not None and process != self._process:
            self._process = process
            self._listing.forget()
        self._listing.poke()
        self._fact_changed()

    def _counts_changed(self) -> None:
        """The Node shows other counts."""
        self._judge_counts()
        self._on_change()

    def _judge_counts(self) -> None:
        self._shown.judge()
        self._counts.nudge()
        self._starter.wake()

    def _fact_changed(self) -> None:
        """Something that counts and rounds depend on."""
        self._judge_counts()
        self._changed.fire()
        self._on_change()
