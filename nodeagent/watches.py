"""What the API server says of this node, taken into the agent's state: its MigSpec, its Node, and the Pods bound to it.

A newer spec replaces the older one and wakes the GPUs' keepers; an older (epoch, generation) of the same object is ignored, and
said so where it was forced in; after an outage the newest is asked for, so that what was written meanwhile is one change; without
a MigSpec nothing is changed. Nothing is decided here, and nothing is written.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from kube.client import Api
from kube.errors import ApiError
from kube.listwatch import LogChanges, TroubleHandler, list_watch, raw
from kube.listwatch import Trouble as WatchTrouble
from kube.resource import NODES, PODS, Resource
from kube.transport import JsonObject
from kube.watchstate import Delete, Event, Rejected, Synced, Upsert
from mig.migspec import MigSpec, Status
from mig.migspec_json import migspec_from_json
from mig.names import ADOPT_ANNOTATION, PARTITIONING_LABEL, PARTITIONING_MIG
from nodeagent.gpus.adoption import adoption_from_annotation
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.ownership import entries_from_status
from nodeagent.heeding import Verdict, verdict
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.pods import pod_from_json
from nodeagent.state import NodeState
from nodeagent.telling.publisher import MIGSPECS
from nodeagent.trouble import Trouble
from nodeagent.use.looker import Looker

log = logging.getLogger(__name__)

T = TypeVar("T")

CATCH_UP_S: Final = 5.0
"""Deadline of the one request after an outage that spares the hardware what is outdated already."""


class Watches:
    """Three eternal watches. `ownership_known` is set once it is known which slices are ours."""

    def __init__(
        self,
        api: Api,
        *,
        state: NodeState,
        kubelet: KubeletSide,
        looker: Looker,
        ledger: Ledger,
        ownership_known: asyncio.Event,
    ) -> None:
        self._api = api
        self._state = state
        self._kubelet = kubelet
        self._looker = looker
        self._ledger = ledger
        self._ownership_known = ownership_known
        self._log_trouble = LogChanges()
        self._behind = False
        self._ahead: MigSpec | None = None

    async def run(self) -> None:
        """All three. Eternal."""
        if not self._ledger.lost:
            self._ownership_known.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_migspec(), name="watch-migspec")
            tasks.create_task(self._watch_node(), name="watch-node")
            tasks.create_task(self._watch_pods(), name="watch-pods")

    async def _watch_migspec(self) -> None:
        node = self._state.node_name
        watch = self._watch(
            MIGSPECS, migspec_from_json, field_selector=f"metadata.name={node}", on_trouble=self._migspec_trouble
        )
        async for event in watch:
            if self._behind:
                await self._catch_up()
            match event:
                case Upsert(obj=migspec) | Delete(obj=migspec) if self._is_old_news(migspec):
                    continue
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

    def _migspec_trouble(self, trouble: WatchTrouble | None) -> None:
        self._behind = self._behind or trouble is not None
        self._log_trouble(trouble)

    async def _catch_up(self) -> None:
        """After an outage the watch tells each version that was written meanwhile: only the newest of them is to be acted on."""
        self._behind = False
        try:
            obj = await self._api.get(MIGSPECS, self._state.node_name, timeout_s=CATCH_UP_S)
            newest = migspec_from_json(obj)
        except (ApiError, ValueError) as error:
            log.info("the newest MigSpec is not known; each version is heeded as it comes: %s", error)
            return
        self._ahead = newest
        self._migspec_seen(newest)

    def _is_old_news(self, migspec: MigSpec) -> bool:
        """Whether this is told of a namesake from before the one that we have caught up with."""
        if self._ahead is not None and self._ahead.uid == migspec.uid:
            self._ahead = None
        return self._ahead is not None

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
        if known is None and migspec.status is not None:
            self._last_report_seen(migspec.status)
        self._looker.prefer_claimed()

    def _last_report_seen(self, status: Status) -> None:
        """What our predecessor wrote, or we ourselves before the MigSpec was away for a while."""
        state = self._state
        if not state.conditions:
            state.conditions = status.conditions
        if status.boot_id not in ("", state.boot_id):
            state.lost_at_boot = sum(item.owned and bool(item.uuid) for gpu in status.gpus for item in gpu.slices)

    async def _recover_ledger(self) -> None:
        """What is ours, where the ledger was lost, is what our last report says; no MigSpec, no report."""
        ledger, migspec = self._ledger, self._state.migspec
        if ledger.lost:
            entries = entries_from_status(migspec.status if migspec else None, boot_id=self._state.boot_id)
            if entries:
                log.warning("the ledger was lost; taking %d slices over from the last report", len(entries))
            await ledger.recover(entries)
        self._ownership_known.set()

    async def _watch_node(self) -> None:
        async for event in self._watch(NODES, raw, field_selector=f"metadata.name={self._state.node_name}"):
            if isinstance(event, Upsert):
                self._node_seen(event.obj)

    def _node_seen(self, node: JsonObject) -> None:
        state, metadata = self._state, node["metadata"]
        state.node_uid = metadata["uid"]
        labelled = (metadata.get("labels") or {}).get(PARTITIONING_LABEL) == PARTITIONING_MIG
        adoption = adoption_from_annotation((metadata.get("annotations") or {}).get(ADOPT_ANNOTATION, ""))
        if (labelled, adoption) != (state.labelled, state.adoption):
            state.labelled, state.adoption = labelled, adoption
            state.changed.fire()
        self._kubelet.node_seen(node)

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
        self,
        resource: Resource,
        decode: Callable[[JsonObject], T],
        *,
        field_selector: str,
        on_trouble: TroubleHandler | None = None,
    ) -> AsyncIterator[Event[T]]:
        watch = list_watch(self._api, resource, decode=decode, field_selector=field_selector, on_trouble=on_trouble)
        async with aclosing(watch) as events:
            async for event in events:
                yield event
