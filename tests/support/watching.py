"""Runs a list-watch in the background and lets a test wait for what it reports."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from kube.client import Api
from kube.listwatch import Timing, Trouble, list_watch, raw
from kube.resource import Resource
from kube.transport import JsonObject
from kube.watchstate import Delete, Event, Synced, Upsert

# As in production, but everything ten or more times as fast.
FAST = Timing(page_s=2, open_s=2, silence_s=5, healthy_s=0.3, backoff_first_s=0.05, backoff_cap_s=0.1)


@dataclass
class Watching:
    """What a list-watch has reported so far."""

    events: list[Event[JsonObject]] = field(default_factory=list)
    troubles: list[Trouble | None] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def content(self) -> dict[str, JsonObject]:
        """Replay the events: the objects that the watch believes to exist, by name."""
        known: dict[str, JsonObject] = {}
        for event in self.events:
            match event:
                case Upsert(key, obj):
                    known[key.name] = obj
                case Delete(key, _):
                    del known[key.name]
                case _:
                    pass
        return known

    @property
    def synced(self) -> int:
        """How many lists were read to their end."""
        return sum(isinstance(event, Synced) for event in self.events)

    async def until(self, true: Callable[["Watching"], object], *, within_s: float = 5.0) -> None:
        """Wait until something holds; asked again after each event, trouble and pause."""
        async with asyncio.timeout(within_s):
            while not true(self):
                self._more.clear()
                await self._more.wait()

    def heard(self) -> None:
        """Wake `until`."""
        self._more.set()


@contextlib.asynccontextmanager
async def watching(
    api: Api,
    resource: Resource,
    *,
    timing: Timing = FAST,
    namespace: str | None = None,
    label_selector: str | None = None,
    real_pauses: bool = True,
) -> AsyncIterator[Watching]:
    """Watch while the block runs; fails with whatever ends the watch."""
    seen = Watching()

    def trouble(what: Trouble | None) -> None:
        seen.troubles.append(what)
        seen.heard()

    async def sleep(seconds: float) -> None:
        seen.pauses.append(seconds)
        seen.heard()
        await asyncio.sleep(seconds if real_pauses else 0)

    async def follow() -> None:
        stream = list_watch(
            api,
            resource,
            decode=raw,
            namespace=namespace,
            label_selector=label_selector,
            on_trouble=trouble,
            timing=timing,
            sleep=sleep,
            jitter=lambda: 0.5,
        )
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                seen.events.append(event)
                seen.heard()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        yield seen
        task.cancel()
