"""Keeps a `Timeline` up to date from the API server, as long as its task runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from demo.timeline import Timeline
from kube.client import Api
from kube.listwatch import list_watch, raw
from kube.resource import PODS, Resource
from kube.watchstate import Delete, Upsert
from mig.migspec_json import migspec_from_json
from mig.names import GROUP, PLURAL, VERSION

MIGSPECS = Resource(GROUP, VERSION, PLURAL, namespaced=False)


class Onlooker:
    """A timeline that fills itself; `until` waits for something to be seen."""

    def __init__(self, api: Api, *, namespace: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeline = Timeline()
        self.clock = clock
        self._api = api
        self._namespace = namespace
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Onlooker"]:
        """Watch Pods and MigSpecs while the block runs."""
        tasks = [asyncio.create_task(self._watch_pods()), asyncio.create_task(self._watch_migspecs())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, holds: Callable[[Timeline], bool], *, timeout_s: float) -> bool:
        """Wait until `holds` is true of the timeline; False when it did not become so in time."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: holds(self.timeline))
        except TimeoutError:
            return False
        return True

    async def _watch_pods(self) -> None:
        async for event in list_watch(self._api, PODS, namespace=self._namespace, decode=raw):
            now = self.clock()
            match event:
                case Upsert(obj=pod):
                    self.timeline.pod_seen(pod, now)
                case Delete(obj=pod):
                    self.timeline.pod_gone(pod)
            await self._tell()

    async def _watch_migspecs(self) -> None:
        async for event in list_watch(self._api, MIGSPECS, decode=migspec_from_json):
            now = self.clock()
            match event:
                case Upsert(obj=migspec):
                    self.timeline.migspec_seen(migspec, now)
                case Delete(key=key):
                    self.timeline.migspec_gone(key.name)
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
