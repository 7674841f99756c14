"""The one list-watch loop: everything of a resource, for ever, whatever the API server does.

`list_watch` lists, then watches from there, and lists again only when it must (410). It never ends and never raises
for trouble on the server's side: it reports it once through ``on_trouble``, backs off with jitter (at most one request
a second in the mean) and goes on; objects reported before stay known meanwhile. It does not cache for its caller and
does not order events of different objects beyond what the API server does.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from kube.backoff import Backoff
from kube.client import Api, Listing, selection
from kube.errors import ApiError, Expired, Garbled, NotFound
from kube.lines import LineBuffer
from kube.resource import Resource
from kube.transport import JsonObject, Request
from kube.watchstate import Event, WatchState

log = logging.getLogger(__name__)

T = TypeVar("T")

# Bytes of one line of a stream. An object is at most about 3 MB; a stream that sends more is none of Kubernetes'.
MAX_LINE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """All the times of a list-watch loop, in seconds."""

    page_s: float = 30.0  # deadline of one page of a list
    open_s: float = 15.0  # deadline for a watch's headers
    # The API server sends a bookmark about once a minute: twice that in silence means a half-open connection.
    silence_s: float = 120.0
    # The server ends a watch after this long, times 1 to 2 by chance, so that load spreads over its replicas.
    watch_s: float = 240.0
    # A stream that lived this long was sound: what ends it is no reason to back off.
    healthy_s: float = 10.0
    backoff_first_s: float = 1.0
    backoff_cap_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a resource cannot be watched at the moment; ``failures`` counts those in a row."""

    resource: Resource
    error: ApiError
    failures: int

    def __str__(self) -> str:
        if isinstance(self.error, NotFound):
            return f"{self.resource} is not served here; waiting for it to be installed ({self.error.message})"
        return f"{self.resource} cannot be watched: {self.error}"


# Told of each failure, and with None once the watch works again.
TroubleHandler = Callable[[Trouble | None], None]


def raw(obj: JsonObject) -> JsonObject:
    """Decode nothing: keep whole objects. Fine for a handful of them, too much memory for all Pods of a cluster."""
    return obj


async def list_watch(
    api: Api,
    resource: Resource,
    *,
    decode: Callable[[JsonObject], T],
    namespace: str | None = None,
    label_selector: str | None = None,
    field_selector: str | None = None,
    on_trouble: TroubleHandler | None = None,
    timing: Timing = Timing(),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> AsyncGenerator[Event[T], None]:
    """Report all objects of a resource and each change to them, for ever.

    ``decode`` makes of each raw object what is kept and reported (`raw` keeps it whole); what it raises
    (`DECODE_ERRORS`) becomes a `Rejected` event. Consume it inside ``contextlib.aclosing`` if you may stop early.
    """
    source = _Source(api, resource, namespace, label_selector, field_selector, timing=timing, jitter=jitter)
    state = WatchState(decode, what=f"WATCH {resource}")
    backoff = Backoff(first_s=timing.backoff_first_s, cap_s=timing.backoff_cap_s, jitter=jitter)
    health = _Health(resource, on_trouble or LogChanges())
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        error: ApiError | None = None
        try:
            async with aclosing(_round(source, state, health)) as events:
                async for event in events:
                    yield event
        except Expired:
            state.expire()
        except (Garbled, NotFound) as failure:
            # What is missing may come back as something new; after garbage nobody knows what was lost.
            state.expire()
            error = failure
        except ApiError as failure:
            error = failure
        sound = clock() - began >= timing.healthy_s
        if sound:
            backoff.succeeded()
        if error is not None:
            health.failed(error)
        if error is not None or not sound:
            asked = error.retry_after_s if error is not None else None
            await sleep(backoff.failed(at_least_s=asked or 0.0))


@dataclass(frozen=True, slots=True)
class _Source:
    """What to list and watch."""

    api: Api
    resource: Resource
    namespace: str | None
    label_selector: str | None
    field_selector: str | None
    timing: Timing = field(kw_only=True)
    jitter: Callable[[], float] = field(kw_only=True)

    def pages(self) -> AsyncGenerator[Listing, None]:
        return self.api.pages(
            self.resource,
            namespace=self.namespace,
            label_selector=self.label_selector,
            field_selector=self.field_selector,
            timeout_s=self.timing.page_s,
        )

    def stream(self, version: str) -> AsyncGenerator[bytes, None]:
        watch_s = int(self.timing.watch_s * (1 + self.jitter()))
        query = (
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(max(1, watch_s))),
        )
        request = Request(
            "GET",
            self.resource.path(namespace=self.namespace),
            query=selection(self.label_selector, self.field_selector) + query,
        )
        return self.api.transport.stream(request, open_s=self.timing.open_s, silence_s=self.timing.silence_s)


async def _round(source: _Source, state: WatchState[T], health: "_Health") -> AsyncGenerator[Event[T], None]:
    """List if needed, then watch until the stream ends, one way or the other."""
    if state.version is None:
        async with aclosing(_list(source, state)) as listed:
            async for event in listed:
                yield event
        health.succeeded()
    assert state.version is not None
    lines = LineBuffer(max_line=MAX_LINE)
    async with aclosing(source.stream(state.version)) as chunks:
        async for chunk in chunks:
            for event in _events_of(lines, chunk, state):
                yield event
            health.succeeded()
            # A burst that is buffered already would never suspend: let the others run between chunks.
            await asyncio.sleep(0)


async def _list(source: _Source, state: WatchState[T]) -> AsyncGenerator[Event[T], None]:
    state.start_list()
    version = ""
    async with aclosing(source.pages()) as pages:
        async for items, at_version in pages:
            version = at_version
            if not version:
                # Taking such an answer for an empty list would report everything as deleted.
                raise Garbled(f"LIST {source.resource}", reason="Garbled", message="a list without resourceVersion")
            for event in state.page(items):
                yield event
    for event in state.finish_list(version):
        yield event


def _events_of(lines: LineBuffer, chunk: bytes, state: WatchState[T]) -> Iterator[Event[T]]:
    try:
        for line in lines.feed(chunk):
            yield from state.apply(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise Garbled(state.what, reason="Garbled", message=f"the stream carries no JSON lines: {error}") from error


class _Health:
    """Counts failures in a row and reports each, and the end of them."""

    def __init__(self, resource: Resource, report: TroubleHandler) -> None:
        self._resource = resource
        self._report = report
        self._failures = 0

    def failed(self, error: ApiError) -> None:
        self._failures += 1
        self._report(Trouble(self._resource, error, self._failures))

    def succeeded(self) -> None:
        if self._failures:
            self._failures = 0
            self._report(None)


class LogChanges:
    """The default handler of trouble: a log line when trouble begins, changes its kind or ends; not one for each try."""

    def __init__(self) -> None:
        self._last: tuple[Resource, type[ApiError], int] | None = None

    def __call__(self, trouble: Trouble | None) -> None:
        """Take in a failure, or, with None, the end of them."""
        now = (trouble.resource, type(trouble.error), trouble.error.status) if trouble else None
        if now != self._last:
            if trouble:
                log.warning("%s", trouble)
            elif self._last:
                log.info("%s can be watched again", self._last[0])
        self._last = now
