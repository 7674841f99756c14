"""Carries out what a round decided, and feeds every answer back into the index at once.

Writes to different objects go side by side, a few at a time; the two writes of one Pod follow each other, the second on what the
first returned. A write that fails ends its decision and nothing else: after a conflict the object is read again, so that the next
round, not the writer, decides what to do. Nothing is repeated blindly.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

from allocator.announce import Announcer
from allocator.decisions import Create, Decisions, LabelAgent, PodWrite, Remove, Write
from allocator.index import Index, read_node, read_spec
from allocator.metrics import Metrics
from allocator.patches import Operation, agent_label_patch, pod_patch, pod_status_patch, spec_patch
from allocator.pods import MigPod
from allocator.view import Spot
from allocator.watching import MIGSPECS
from kube.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from kube.resource import NODES, PODS, Resource
from kube.watchstate import Key
from mig.migspec import Spec
from mig.migspec_json import new_migspec

log = logging.getLogger(__name__)

CONCURRENCY: Final = 16
"""Writes on their way at once. More gains nothing on one API server and crowds out others under its priority and fairness."""

_REREAD_ON: Final = (Conflict, NotFound, AlreadyExists, Invalid)


class ObjectApi(Protocol):
    """The few calls that a writer makes; `kube.client.Api` has them."""

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, timeout_s: float = ...
    ) -> dict[str, Any]:
        """Read one object."""

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], *, namespace: str | None = None, timeout_s: float = ...
    ) -> dict[str, Any]:
        """Create one object."""

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        timeout_s: float = ...,
    ) -> None:
        """Delete one very object."""

    async def merge_patch(
        self, resource: Resource, name: str, patch: Mapping[str, Any], *, timeout_s: float = ...
    ) -> dict[str, Any]:
        """Merge into one object."""

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        operations: Sequence[Operation],
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        timeout_s: float = ...,
    ) -> dict[str, Any]:
        """Apply operations to one object, or nothing of them."""


@dataclass
class Done:
    """What came of a round's writes: uids of Pods whose slices were reserved, and of those let go; and how many failed."""

    reserved: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    failed: int = 0


class Writer:
    """The writes of one term."""

    def __init__(
        self,
        api: ObjectApi,
        index: Index,
        *,
        epoch: int,
        announcer: Announcer,
        metrics: Metrics,
        released: Callable[[Iterable[Spot]], None],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._index = index
        self._epoch = epoch
        self._announcer = announcer
        self._metrics = metrics
        self._released = released
        self._wall = wall

    async def carry_out(self, decisions: Decisions) -> Done:
        """Write everything; ends when every write has succeeded or failed."""
        done = Done()
        jobs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            *(("spec", partial(self._write, write, done)) for write in decisions.writes),
            *(("create", partial(self._create, create)) for create in decisions.creates),
            *(("remove", partial(self._remove, remove)) for remove in decisions.removes),
            *(("label", partial(self._label, label)) for label in decisions.labels),
            *(("pod", partial(self._pod, pod, done)) for pod in decisions.pods),
        ]
        slots = asyncio.Semaphore(CONCURRENCY)
        async with asyncio.TaskGroup() as group:
            for kind, job in jobs:
                group.create_task(self._attempt(kind, job, slots, done))
        return done

    async def _attempt(
        self, kind: str, job: Callable[[], Awaitable[None]], slots: asyncio.Semaphore, done: Done
    ) -> None:
        result = "ok"
        async with slots:
            try:
                await job()
            except ApiError as error:
                done.failed += 1
                result = type(error).__name__
                level = logging.DEBUG if isinstance(error, Conflict | NotFound | AlreadyExists) else logging.WARNING
                log.log(level, "a write was not taken, the next round decides again: %s", error)
        self._metrics.writes.labels(kind, result).inc()

    async def _write(self, write: Write, done: Done) -> None:
        key = Key("", write.node)
        with self._index.specs.writing(key):
            try:
                obj = await self._api.json_patch(MIGSPECS, write.node, spec_patch(write))
            except _REREAD_ON:
                await self._reread_spec(key)
                raise
            self._index.specs.answered(key, read_spec(obj))
        done.reserved += write.reserved
        self._released(write.released)

    async def _create(self, create: Create) -> None:
        key = Key("", create.node)
        obj = new_migspec(node=create.node, node_uid=create.node_uid, spec=Spec(self._epoch))
        with self._index.specs.writing(key):
            try:
                stored = await self._api.create(MIGSPECS, obj)
            except AlreadyExists:
                await self._reread_spec(key)
                raise
            self._index.specs.answered(key, read_spec(stored))

    async def _remove(self, remove: Remove) -> None:
        key = Key("", remove.node)
        with self._index.specs.writing(key):
            try:
                await self._api.delete(MIGSPECS, remove.node, uid=remove.uid, resource_version=remove.resource_version)
            except NotFound:
                pass
            except Conflict:
                await self._reread_spec(key)
                raise
            else:
                self._index.specs.deleted(key)

    async def _reread_spec(self, key: Key) -> None:
        try:
            self._index.specs.answered(key, read_spec(await self._api.get(MIGSPECS, key.name)))
        except NotFound:
            self._index.specs.deleted(key)

    async def _label(self, label: LabelAgent) -> None:
        key = Key("", label.node)
        with self._index.nodes.writing(key):
            patch = agent_label_patch(present=label.present)
            self._index.nodes.answered(key, read_node(await self._api.merge_patch(NODES, label.node, patch)))

    async def _pod(self, write: PodWrite, done: Done) -> None:
        wish = write.pod.wish
        key = Key(wish.namespace, wish.name)
        with self._index.pods.writing(key):
            try:
                await self._write_pod(key, write)
            except _REREAD_ON:
                await self._reread_pod(key)
                raise
        if write.ungate:
            done.released.append(wish.uid)

    async def _write_pod(self, key: Key, write: PodWrite) -> None:
        pod = write.pod
        if operations := pod_status_patch(write, now=self._wall()):
            stored = await self._patch_pod(key, operations, "status")
            self._announcer.pod(pod, write.outcome)
            if stored is None:
                return
            pod = stored
        if operations := pod_patch(write, pod):
            await self._patch_pod(key, operations, None)

    async def _patch_pod(self, key: Key, operations: Sequence[Operation], subresource: str | None) -> MigPod | None:
        """The Pod as stored; None where it has finished meanwhile."""
        obj = await self._api.json_patch(PODS, key.name, operations, namespace=key.namespace, subresource=subresource)
        seen = self._index.read_pod(obj)
        self._index.pods.answered(key, seen)
        return seen.value if isinstance(seen.value, MigPod) else None

    async def _reread_pod(self, key: Key) -> None:
        try:
            obj = await self._api.get(PODS, key.name, namespace=key.namespace)
        except NotFound:
            self._index.pods.deleted(key)
        else:
            self._index.pods.answered(key, self._index.read_pod(obj))
