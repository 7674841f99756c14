"""The live cluster as it is at one moment, for who asks and changes nothing: read once, never written to.

Everything goes through the allocator's own index, so that what is free, what is warm and who waits is what the allocator would
find. Only GET requests are sent. MigSpecs are listed before Pods: a slice that changes hands between the two lists then counts as
taken. What a leader remembers (places that failed and nodes that the scheduler did not take in the last minute, since when slices
are reserved for Pods that have not started) is in no API server, so it is not here either.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

from allocator.geometryfile import GeometryFile
from allocator.index import Index, key_of, read_node, read_spec
from allocator.learning import Learning
from allocator.shelf import Seen, Shelf
from allocator.view import View
from allocator.watching import MIGSPECS, UNFINISHED
from kube.client import Api
from kube.errors import Forbidden, NotFound
from kube.resource import CONFIG_MAPS, LEASES, NODES, PODS, Resource
from mig.names import LEASE, MIX_ANNOTATION

T = TypeVar("T")

GEOMETRIES: Final = "nos-mig-geometries"
DEADLINE_S: Final = 300.0
"""For all of it: the Pods of the largest clusters take a minute."""

RIGHTS: Final = (
    "reading a live cluster needs get and list of pods, nodes, configmaps, leases and migspecs.nos.nebuly.com"
)


class OnlookError(Exception):
    """The cluster cannot be looked at; the message says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Onlook:
    """What was seen; `notes` say what could not be read and what stands in its place."""

    view: View
    learning: Learning
    """What a leader who took over now would know of the demand."""
    notes: tuple[str, ...]


@asynccontextmanager
async def onlooker(kubeconfig: Path | None, *, command: str) -> AsyncIterator[Api]:
    """A connection that reads. Raises `OnlookError` where a right is missing or time is up, or `ConfigError`."""
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            Api.connect(kubeconfig, user_agent=f"nos-mig-{command}/{version('nos-mig')}") as api,
        ):
            yield api
    except Forbidden as error:
        raise OnlookError(f"{error}; {RIGHTS}") from error
    except TimeoutError as error:
        raise OnlookError(f"reading the cluster took longer than {DEADLINE_S:.0f} s; try again") from error


async def look_on(api: Api, *, namespace: str = "") -> Onlook:
    """The cluster now; `namespace` is the release's, found by its ConfigMap where it is empty.

    Raises `OnlookError` or `ApiError`.
    """
    index = Index()
    notes: list[str] = []
    try:
        await _fill(api, MIGSPECS, index.specs, read_spec)
    except NotFound as error:
        raise OnlookError("this cluster serves no MigSpecs; install the chart first") from error
    await _fill(api, PODS, index.pods, index.read_pod, field_selector=UNFINISHED)
    await _fill(api, NODES, index.nodes, read_node)
    release = await _read_geometries(api, namespace, index, notes)
    specs = index.view(0).specs.values()
    view = index.view(max((tracked.migspec.spec.leader_epoch for tracked in specs), default=0))
    learning = Learning(await _read_mix(api, release, notes) if release else "")
    learning.look(view.pods)
    return Onlook(view, learning, tuple(notes))


async def _fill(
    api: Api,
    resource: Resource,
    shelf: Shelf[T],
    decode: Callable[[Any], Seen[T]],
    *,
    field_selector: str | None = None,
) -> None:
    async for page, _ in api.pages(resource, field_selector=field_selector):
        for obj in page:
            shelf.watched(key_of(obj), decode(obj))
    shelf.listed()


async def _read_geometries(api: Api, namespace: str, index: Index, notes: list[str]) -> str:
    """Take the geometries in force into the index; gives the release's namespace, empty where it was not found."""
    selector = f"metadata.name={GEOMETRIES}"
    found, _ = await api.list(CONFIG_MAPS, namespace=namespace or None, field_selector=selector)
    places = [str(item["metadata"]["namespace"]) for item in found]
    if len(places) > 1:
        raise OnlookError(f"there are ConfigMaps {GEOMETRIES} in {', '.join(places)}; name the release's namespace")
    if not places:
        notes.append(f"no ConfigMap {GEOMETRIES} was found: nothing that drivers offer is forbidden")
        return namespace

    def complain(complaint: str) -> None:
        notes.append(f"the ConfigMap {GEOMETRIES} has mistakes, what is wrong is left out: {complaint}")

    index.set_geometries(GeometryFile(on_error=complain).read(found[0]))
    return places[0]


async def _read_mix(api: Api, namespace: str, notes: list[str]) -> str:
    """The annotation in which the allocator keeps the demand that it has learned; empty where there is none to be had."""
    try:
        text = _annotations(await api.get(LEASES, LEASE, namespace=namespace)).get(MIX_ANNOTATION, "")
    except NotFound:
        notes.append("no allocator has led here yet: it has learned no demand mix but from the Pods that are there")
        return ""
    except Forbidden as error:
        notes.append(
            f"what demand the allocator has learned cannot be read, the Pods that are there stand for it: {error}"
        )
        return ""
    if not text:
        notes.append("the allocator has not written down a demand mix yet; the Pods that are there stand for it")
    return text


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}
