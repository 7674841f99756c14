"""The cluster in memory: Pods, Nodes, MigSpecs and geometries, always ready to be looked at by a round.

It takes in watch events and the answers to our own writes, keeps the sums that a round needs (what Pods take of each
node, when what is claimed there is expected to end) up to date as objects come and go, and wakes the controller at each change.
It decides nothing.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from allocator.facts import node_facts
from allocator.lifetimes import Lifetimes
from allocator.loads import Loads
from allocator.placement.fleet import NodeFacts
from allocator.pods import MigPod, Pod, PodReader
from allocator.shelf import Seen, Shelf
from allocator.view import Broken, Stored, Tracked, View, follow
from kube.watchstate import Key
from mig.geometries import ANYTHING, Geometries
from mig.migspec_json import MigSpecError, migspec_from_json

log = logging.getLogger(__name__)

Json = Mapping[str, Any]


class Index:
    """Feed the shelves; look through `view`. `wall` gives seconds since the epoch."""

    def __init__(self, *, on_change: Callable[[], None] = lambda: None, wall: Callable[[], float] = time.time) -> None:
        self._on_change = on_change
        self._reader = PodReader()
        self._mig: dict[str, MigPod] = {}
        self._loads = Loads()
        self._nodes: dict[str, NodeFacts] = {}
        self._specs: dict[str, Tracked] = {}
        self._lifetimes = Lifetimes(wall=wall)
        self._broken: set[str] = set()
        self._geometries = ANYTHING
        self.geometries_listed = False
        """Whether the ConfigMap was looked for once."""
        self.pods: Shelf[Pod] = Shelf(self._pod_changed)
        self.nodes: Shelf[NodeFacts] = Shelf(self._node_changed)
        self.specs: Shelf[Stored | Broken] = Shelf(self._spec_changed)

    @property
    def synced(self) -> bool:
        """Whether everything has been listed once; before, what is unknown is not absent."""
        return self.pods.synced and self.nodes.synced and self.specs.synced and self.geometries_listed

    def view(self, epoch: int) -> View:
        """The cluster as it is known now; valid until the next event is taken in."""
        return View(
            epoch=epoch,
            pods=MappingProxyType(self._mig),
            nodes=MappingProxyType(self._nodes),
            specs=MappingProxyType(self._specs),
            loads=self._loads.by_node,
            geometries=self._geometries,
            broken=frozenset(self._broken),
        )

    def set_geometries(self, geometries: Geometries) -> None:
        """From now on these geometries are in force."""
        if geometries != self._geometries:
            self._geometries = geometries
            self._on_change()

    def read_pod(self, obj: Json) -> Seen[Pod]:
        """One version of a Pod."""
        return _seen(obj, self._reader.read(obj))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if isinstance(old, MigPod):
            self._mig.pop(old.uid, None)
        if isinstance(new, MigPod):
            self._mig[new.uid] = new
        self._loads.pod_changed(old, new)
        for node in self._lifetimes.pod_changed(old, new):
            tracked = self._specs[node]
            self._specs[node] = replace(tracked, ends=self._lifetimes.ends(tracked.migspec))
        if old != new:
            self._on_change()

    def _node_changed(self, old: NodeFacts | None, new: NodeFacts | None) -> None:
        if old is not None and new is None:
            self._nodes.pop(old.name, None)
        if new is not None:
            self._nodes[new.name] = new
        # A kubelet writes its Node every few seconds; nothing that decides changes by that.
        if old != new:
            self._on_change()

    def _spec_changed(self, old: Stored | Broken | None, new: Stored | Broken | None) -> None:
        gone = _name(old) if old is not None and new is None else None
        if gone is not None:
            self._drop_spec(gone)
            self._broken.discard(gone)
        if isinstance(new, Broken):
            if new.name not in self._broken:
                log.error("a MigSpec cannot be read, its node is left alone: %s", new.error)
            self._drop_spec(new.name)
            self._broken.add(new.name)
        elif new is not None:
            self._broken.discard(new.migspec.name)
            self._keep_spec(new)
        self._on_change()

    def _keep_spec(self, stored: Stored) -> None:
        migspec = stored.migspec
        before = self._specs.get(migspec.name)
        self._lifetimes.spec_changed(before.migspec if before is not None else None, migspec)
        self._specs[migspec.name] = follow(before, stored, ends=self._lifetimes.ends(migspec))

    def _drop_spec(self, name: str) -> None:
        before = self._specs.pop(name, None)
        if before is not None:
            self._lifetimes.spec_changed(before.migspec, None)


def read_node(obj: Json) -> Seen[NodeFacts]:
    """One version of a Node."""
    return _seen(obj, node_facts(obj))


def read_spec(obj: Json) -> Seen[Stored | Broken]:
    """One version of a MigSpec; never raises for what is wrong inside."""
    owners = obj["metadata"].get("ownerReferences") or ()
    try:
        owner = next((str(item["uid"]) for item in owners if item.get("kind") == "Node"), "")
        return _seen(obj, Stored(migspec_from_json(obj), owner))
    except (MigSpecError, LookupError, TypeError, AttributeError) as error:
        return _seen(obj, Broken(obj["metadata"]["name"], str(error)))


def key_of(obj: Json) -> Key:
    """The key of an object of the API server."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace") or "", metadata["name"])


def _seen(obj: Json, value: Any) -> Seen[Any]:
    metadata = obj["metadata"]
    return Seen(metadata["uid"], metadata["resourceVersion"], value)


def _name(item: Stored | Broken) -> str:
    return item.name if isinstance(item, Broken) else item.migspec.name
