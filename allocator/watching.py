"""Keeps the index in step with the API server: one endless list-watch a resource.

Finished Pods are left out by the server, so one that finishes is a deletion to us. The agents' own objects are watched whole. Which
resource cannot be watched, and for how long, shows in the metrics and in one log line a change.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar

from allocator.geometryfile import GeometryFile
from allocator.index import Index, read_node, read_spec
from allocator.metrics import Metrics
from allocator.shelf import Seen, Shelf
from kube.client import Api
from kube.listwatch import Trouble, list_watch, raw
from kube.resource import CONFIG_MAPS, NODES, PODS, Resource
from kube.watchstate import Delete, Event, Rejected, Synced, Upsert
from mig.names import GROUP, PLURAL, VERSION

log = logging.getLogger(__name__)

T = TypeVar("T")

MIGSPECS: Final = Resource(GROUP, VERSION, PLURAL, namespaced=False)
UNFINISHED: Final = "status.phase!=Succeeded,status.phase!=Failed"


class Watches:
    """All watches of one term."""

    def __init__(self, api: Api, index: Index, metrics: Metrics, *, on_listed: Callable[[], None]) -> None:
        self._api = api
        self._index = index
        self._metrics = metrics
        self._on_listed = on_listed

    def start(self, group: asyncio.TaskGroup, *, namespace: str, geometries: str, file: GeometryFile) -> None:
        """Start them all in the group."""
        index = self._index
        group.create_task(self._follow(PODS, index.pods, index.read_pod, UNFINISHED), name="watch pods")
        group.create_task(self._follow(NODES, index.nodes, read_node, None), name="watch nodes")
        group.create_task(self._follow(MIGSPECS, index.specs, read_spec, None), name="watch migspecs")
        group.create_task(self._follow_geometries(namespace, geometries, file), name="watch geometries")

    async def _follow(
        self, resource: Resource, shelf: Shelf[T], decode: Callable[[Any], Seen[T]], field_selector: str | None
    ) -> None:
        events = list_watch(
            self._api, resource, decode=decode, field_selector=field_selector, on_trouble=self._trouble(resource)
        )
        async with aclosing(events):
            async for event in events:
                feed(shelf, event)
                if isinstance(event, Synced):
                    self._on_listed()

    async def _follow_geometries(self, namespace: str, name: str, file: GeometryFile) -> None:
        events = list_watch(
            self._api,
            CONFIG_MAPS,
            decode=raw,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
            on_trouble=self._trouble(CONFIG_MAPS),
        )
        async with aclosing(events):
            async for event in events:
                match event:
                    case Upsert(_, config_map):
                        self._index.set_geometries(file.read(config_map))
                    case Delete():
                        self._index.set_geometries(file.read(None))
                    case Synced():
                        self._index.geometries_listed = True
                        self._on_listed()

    def _trouble(self, resource: Resource) -> Callable[[Trouble | None], None]:
        gauge = self._metrics.watch_failures.labels(resource.plural)
        last = ""

        def report(trouble: Trouble | None) -> None:
            nonlocal last
            gauge.set(trouble.failures if trouble else 0)
            now = str(trouble.error.status) if trouble else ""
            if now != last:
                log.warning("%s", trouble or f"{resource} can be watched again")
            last = now

        return report


def feed(shelf: Shelf[T], event: Event[Seen[T]]) -> None:
    """Take one event of a watch into a shelf."""
    match event:
        case Upsert(key, seen):
            shelf.watched(key, seen)
        case Delete(key, _):
            shelf.deleted(key)
        case Rejected(key, _, error):
            log.error("%s cannot be read and is left out: %r", key, error)
        case Synced():
            shelf.listed()
