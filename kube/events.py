"""Events for users, as `kubectl describe` shows them: never lost silently where avoidable, never in anybody's way.

`EventRecorder.emit` only puts a value into a bounded queue; it neither waits nor raises. One worker (`run`) writes to
events.k8s.io/v1. The same thing said again within the window becomes a count on the first Event (its series), written
at most once a minute. Events are for humans: nothing may depend on one having arrived.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from kube.backoff import Backoff
from kube.client import Api
from kube.errors import AlreadyExists, ApiError, NotFound, Unavailable
from kube.resource import EVENTS
from kube.transport import JsonObject

log = logging.getLogger(__name__)

# Limits of the API server, in characters.
MAX_NOTE = 1024
MAX_REASON = 128
MAX_NAME = 253

# How long the same words count as the same Event, and the least time between two writes of its count, in seconds.
WINDOW_S = 360.0
SERIES_EVERY_S = 60.0

# Events waiting to be written, and series remembered. More than a few hundred a minute is noise to a human.
QUEUE_SIZE = 1000
MEMORY_SIZE = 4096

# Tries for one Event, with back-off, while the API server is away.
TRIES = 5


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that an Event is about; ``namespace`` is empty for cluster-scoped ones."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""

    @classmethod
    def of(cls, obj: JsonObject, *, api_version: str = "", kind: str = "") -> "ObjectRef":
        """Refer to a raw object; items of lists carry neither apiVersion nor kind, so that those can be given."""
        metadata = obj["metadata"]
        return cls(
            api_version=api_version or obj["apiVersion"],
            kind=kind or obj["kind"],
            name=metadata["name"],
            namespace=metadata.get("namespace", ""),
            uid=metadata.get("uid", ""),
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """What makes two Events the same; the reference's resourceVersion is no part of it."""

    regarding: tuple[str, str, str, str]
    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


@dataclass(slots=True)
class _Series:
    """One Event in the API server and how often it was said since."""

    name: str
    namespace: str
    body: JsonObject
    began_s: float
    count: int = 1
    stored: bool = False
    pending: bool = False
    written_s: float = 0.0


class EventRecorder:
    """Takes Events from anywhere in the process; start `run` as a task beside it."""

    def __init__(
        self,
        api: Api,
        *,
        component: str,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._component = component
        self._instance = instance[:MAX_REASON]
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._queue: asyncio.Queue[_Series] = asyncio.Queue(QUEUE_SIZE)
        self._series: OrderedDict[_Said, _Series] = OrderedDict()
        self.dropped = 0

    def emit(
        self,
        regarding: ObjectRef,
        *,
        warning: bool = False,
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """Say something about an object; returns at once, whatever happens to it."""
        note = note if len(note) <= MAX_NOTE else note[: MAX_NOTE - 1] + "…"
        about = (regarding.kind, regarding.namespace, regarding.name, regarding.uid)
        said = _Said(about, "Warning" if warning else "Normal", reason[:MAX_REASON], action[:MAX_REASON], note)
        now = self._clock()
        series = self._series.get(said)
        if series is None or now - series.began_s > WINDOW_S:
            series = self._new_series(regarding, said)
            self._series[said] = series
            if len(self._series) > MEMORY_SIZE:
                self._series.popitem(last=False)
        else:
            series.count += 1
            if series.pending or now - series.written_s < SERIES_EVERY_S:
                return
        self._enqueue(series)

    async def run(self) -> None:
        """Write what was emitted, one after the other, for ever."""
        while True:
            await self._write(await self._queue.get())

    async def drain(self, *, timeout_s: float = 2.0) -> None:
        """At shutdown, once `run` has stopped: write what is queued, but no longer than ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._queue.empty():
                    await self._write(self._queue.get_nowait())
        except TimeoutError:
            log.info("%d Events were not written before the shutdown", self._queue.qsize())

    def _enqueue(self, series: _Series) -> None:
        try:
            self._queue.put_nowait(series)
            series.pending = True
        except asyncio.QueueFull:
            self.dropped += 1

    def _new_series(self, regarding: ObjectRef, said: _Said) -> _Series:
        # Events about cluster-scoped objects live in the namespace "default": the API server wants it so.
        namespace = regarding.namespace or "default"
        suffix = uuid4().hex[:16]
        name = f"{regarding.name[: MAX_NAME - 1 - len(suffix)].rstrip('.-')}.{suffix}"
        reference = {
            "apiVersion": regarding.api_version,
            "kind": regarding.kind,
            "name": regarding.name,
            "namespace": regarding.namespace,
            "uid": regarding.uid,
            "resourceVersion": regarding.resource_version,
        }
        body = {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": micro_time(self._wall()),
            "type": said.type,
            "reason": said.reason,
            "action": said.action,
            "note": said.note,
            "regarding": {key: value for key, value in reference.items() if value},
            "reportingController": self._component,
            "reportingInstance": self._instance,
        }
        return _Series(name=name, namespace=namespace, body=body, began_s=self._clock())

    async def _write(self, series: _Series) -> None:
        # From the start of the write: what is said while it is under way waits for the next one.
        series.pending, series.written_s = False, self._clock()
        backoff = Backoff(first_s=0.5, cap_s=5.0)
        for _ in range(TRIES):
            try:
                await self._write_once(series)
            except Unavailable as error:
                await self._sleep(backoff.failed(at_least_s=error.retry_after_s or 0.0))
            except ApiError as error:
                # A namespace that is going away, or no right to write: the Event is lost, and that is all.
                log.debug("an Event was refused: %s", error)
                break
            else:
                return
        self.dropped += 1

    async def _write_once(self, series: _Series) -> None:
        count = series.count
        observed = {"count": count, "lastObservedTime": micro_time(self._wall())}
        if series.stored:
            try:
                await self._api.merge_patch(EVENTS, series.name, {"series": observed}, namespace=series.namespace)
            except NotFound:
                series.stored = False
        if not series.stored:
            body = series.body if count == 1 else {**series.body, "series": observed}
            # An earlier try whose answer was lost may have stored it.
            with contextlib.suppress(AlreadyExists):
                await self._api.create(EVENTS, body)
            series.stored = True


def micro_time(moment: datetime) -> str:
    """Write a moment as Kubernetes' MicroTime: UTC, six digits, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
