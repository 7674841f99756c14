"""Puts the agent's rooms together and feeds them what the API server says.

Watches three things, all of this node alone: its MigSpec, its Node, and the Pods bound to it. A newer spec replaces the
older one and wakes the GPUs' keepers; an older (epoch, generation) of the same object is ignored; without a MigSpec nothing
is changed. Everything that is learnt goes into `NodeState`, everything that is reported comes out of it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from kube.client import Api
from kube.listwatch import list_watch, raw
from kube.resource import NODES, PODS, Resource
from kube.transport import JsonObject
from kube.watchstate import Delete, Event, Rejected, Synced, Upsert
from mig.migspec import MigSpec
from mig.migspec_json import migspec_from_json
from nodeagent.departures import Departures, HeldBack
from nodeagent.driver import Driver
from nodeagent.hardware import Hardware
from nodeagent.heeding import Verdict, verdict
from nodeagent.keeper import Keeper
from nodeagent.kubelet import Kubelet
from nodeagent.ledger import Ledger
from nodeagent.looker import Looker
from nodeagent.metrics import Metrics
from nodeagent.ownership import entries_from_status
from nodeagent.pods import pod_from_json
from nodeagent.publisher import MIGSPECS, Publisher, Report
from nodeagent.report import Trouble
from nodeagent.reporting import report_of
from nodeagent.session import Session
from nodeagent.state import GpuRecord, NodeState
from nodeagent.workers import Worker

log = logging.getLogger(__name__)

T = TypeVar("T")

ANNOUNCE_S: Final = 10.0
"""How long a slice's making waits for the report that stands in for the ledger."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the agent is given: the world, time and chance."""

    api: Api
    driver: Driver
    ledger: Ledger
    clock: Callable[[], float]
    now: Callable[[], datetime]
    jitter: Callable[[], float]
    metrics: Metrics


class Agent:
    """One node's agent. `run` is eternal; the caller holds the node's lock and has opened the ledger."""

    def __init__(self, outside: Outside, *, state: NodeState, make_kubelet: Callable[["Agent"], Kubelet]) -> None:
        self._outside = outside
        self._state = state
        self._kubelet = make_kubelet(self)
        self._held_back = HeldBack(self._kubelet)
        self._ownership_known = asyncio.Event()
        self._session = Session(
            driver=outside.driver,
            state=state,
            kubelet=self._kubelet,
            ownership_known=self._ownership_known,
            make_hardware=self._make_hardware,
            make_keeper=self._make_keeper,
        )
        self._looker = Looker(state=state, kubelet=self._kubelet, hardware=self._session.hardware, clock=outside.clock)
        self._publisher = Publisher(outside.api, make=self._report, changed=state.changed, jitter=outside.jitter)
        outside.metrics.show_running(lambda: self._session.workers)

    async def run(self) -> None:
        """Everything at once."""
        if not self._outside.ledger.lost:
            self._ownership_known.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._kubelet.run(), name="kubelet")
            tasks.create_task(self._session.run(), name="driver")
            tasks.create_task(self._looker.run(), name="usage")
            tasks.create_task(self._publisher.run(), name="report")
            tasks.create_task(self._follow_changes(), name="changes")
            tasks.create_task(self._watch_migspec(), name="watch-migspec")
            tasks.create_task(self._watch_node(), name="watch-node")
            tasks.create_task(self._watch_pods(), name="watch-pods")

    def unready(self) -> list[str]:
        """What keeps the agent from its work, for /readyz."""
        state = self._state
        return [
            *([state.driver_trouble.message] if state.driver_trouble else []),
            *([] if state.hardware_known or state.driver_trouble else ["the GPUs have not been read yet"]),
            *([] if state.inherited is not None else ["the Pods of this node have not been listed yet"]),
            *([] if self._kubelet.status.reachable else ["the kubelet does not answer"]),
            *([self._publisher.trouble] if self._publisher.trouble else []),
        ]

    def kubelet_changed(self) -> None:
        """The kubelet's half has something new: a device handed out, offered, counted."""
        self._looker.handed_out()
        self._state.changed.fire()

    def exists(self, device_id: str) -> bool:
        """Whether a container that was given this device may start."""
        return self._state.exists(device_id)

    def _make_hardware(self, record: GpuRecord, worker: Worker) -> Hardware:
        return Hardware(record=record, driver=self._outside.driver, worker=worker, ledger=self._outside.ledger)

    def _make_keeper(self, hardware: Hardware) -> Keeper:
        async def look() -> bool:
            return await self._looker.look([hardware.record.index])

        departures = Departures(
            hardware=hardware,
            state=self._state,
            kubelet=self._kubelet,
            held_back=self._held_back,
            look=look,
            clock=self._outside.clock,
            observe=self._outside.metrics.step,
        )
        return Keeper(
            hardware=hardware,
            departures=departures,
            state=self._state,
            kubelet=self._kubelet,
            announced=self._announced,
            on_read=self._looker.wake,
            clock=self._outside.clock,
            observe=self._outside.metrics.step,
        )

    async def _announced(self) -> bool:
        """Whether it is written down, in the ledger or else in our report, what is about to be made."""
        if not self._outside.ledger.trouble:
            return True
        return await self._publisher.written(within_s=ANNOUNCE_S)

    def _report(self) -> Report | None:
        return report_of(
            self._state, kubelet=self._kubelet, ledger_trouble=self._outside.ledger.trouble, now=self._outside.now()
        )

    async def _follow_changes(self) -> None:
        """Whatever changed may let a GPU's next step be done; planning costs microseconds, so nobody is left out."""
        while True:
            seen = self._state.changed.count
            self._session.wake()
            await self._state.changed.beyond(seen)

    async def _watch_migspec(self) -> None:
        node = self._state.node_name
        async for event in self._watch(MIGSPECS, migspec_from_json, field_selector=f"metadata.name={node}"):
            match event:
                case Upsert(obj=migspec):
                    self._migspec_seen(migspec)
                case Delete():
                    log.info("the MigSpec is gone: the hardware stays as it is")
                    self._state.migspec = None
                case Rejected(error=error):
                    self._state.spec_trouble = Trouble("InvalidSpec", f"the MigSpec cannot be read: {error}")
                case Synced():
                    await self._recover_ledger()
            self._state.changed.fire()

    def _migspec_seen(self, migspec: MigSpec) -> None:
        state = self._state
        known = state.migspec
        judged = verdict(known, migspec)
        if judged is Verdict.LATE:
            return
        if judged is Verdict.DEPOSED and known is not None:
            state.spec_trouble = Trouble(
                "InvalidSpec",
                f"generation {migspec.generation} has the epoch {migspec.spec.leader_epoch}, older than "
                f"{known.spec.leader_epoch}: it is ignored; the leading allocator writes it anew",
            )
            return
        state.spec_trouble = None
        state.migspec = migspec
        if known is None or (known.uid, known.generation) != (migspec.uid, migspec.generation):
            log.info("spec", extra={"generation": migspec.generation, "epoch": migspec.spec.leader_epoch})
        if not state.conditions and migspec.status is not None:
            state.conditions = migspec.status.conditions
        self._looker.prefer_claimed()

    async def _recover_ledger(self) -> None:
        """What is ours, where the ledger was lost, is what our last report says; no MigSpec, no report."""
        ledger, migspec = self._outside.ledger, self._state.migspec
        if ledger.lost:
            entries = entries_from_status(migspec.status if migspec else None, boot_id=self._state.boot_id)
            if entries:
                log.warning("the ledger was lost; taking %d slices over from the last report", len(entries))
            await ledger.recover(entries)
        self._ownership_known.set()

    async def _watch_node(self) -> None:
        async for event in self._watch(NODES, raw, field_selector=f"metadata.name={self._state.node_name}"):
            if isinstance(event, Upsert):
                self._kubelet.node_seen(event.obj)

    async def _watch_pods(self) -> None:
        state = self._state
        async for event in self._watch(PODS, pod_from_json, field_selector=f"spec.nodeName={state.node_name}"):
            match event:
                case Upsert(obj=pod):
                    new = pod.uid not in state.pods
                    state.pods[pod.uid] = pod
                    if not pod.needs:
                        continue
                    if new:
                        self._looker.prefer_claimed()
                case Delete(obj=pod):
                    state.pods.pop(pod.uid, None)
                    if not pod.needs:
                        continue
                case Rejected(key=key, error=error):
                    log.warning("Pod %s cannot be read: %s", key, error)
                case Synced() if state.inherited is None:
                    state.inherited = frozenset(state.pods)
            self._looker.wake()

    async def _watch(
        self, resource: Resource, decode: Callable[[JsonObject], T], *, field_selector: str
    ) -> AsyncIterator[Event[T]]:
        watch = list_watch(self._outside.api, resource, decode=decode, field_selector=field_selector)
        async with aclosing(watch) as events:
            async for event in events:
                yield event
