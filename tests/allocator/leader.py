"""An allocator in the model: the real index, round and writer, with a watch that lags as far as a test wants."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from allocator.announce import Announcer
from allocator.decisions import Decisions, Memory
from allocator.index import Index, key_of, read_node, read_spec
from allocator.metrics import Metrics
from allocator.patches import fence_patch
from allocator.placement.durations import Scale
from allocator.placement.engine import Engine
from allocator.placement.mix import Mix
from allocator.placement.policy import Tiny
from allocator.round import decide
from allocator.shelf import Shelf
from allocator.view import Spot
from allocator.writer import Done, Writer
from kube.errors import ApiError
from kube.events import ObjectRef
from kube.lease import LeadershipLost
from kube.resource import Resource
from tests.allocator.storeapi import MIGSPECS, NODES, PODS, Fault, StoreApi, no_fault
from tests.support.objectstore import ObjectStore

POLICY = Tiny()


class Leader:
    """One process that leads (or believes so) with its epoch. It fences and lists when made."""

    def __init__(self, store: ObjectStore, *, epoch: int, runner: asyncio.Runner, fault: Fault = no_fault) -> None:
        self.store = store
        self.epoch = epoch
        self.now = 1000.0
        self.memory = Memory()
        self.said: list[tuple[str, str, str]] = []
        self.released: list[Spot] = []
        """The claims of ended Pods that its writes took away."""
        self.api = StoreApi(store, fault=fault)
        self._runner = runner
        self._fence()
        self.index = Index()
        self.engine = Engine(POLICY)
        metrics = Metrics(CollectorRegistry())
        announcer = Announcer(self._say)
        self._writer = Writer(
            self.api,
            self.index,
            epoch=epoch,
            announcer=announcer,
            metrics=metrics,
            released=self.released.extend,
            wall=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        self._shown = store.version
        self._list()

    def _say(self, regarding: ObjectRef, *, warning: bool = False, reason: str, action: str, note: str) -> None:
        assert action
        assert isinstance(warning, bool)
        self.said.append((regarding.name, reason, note))

    def _fence(self) -> None:
        migspecs = Resource("nos.nebuly.com", "v1alpha1", "migspecs", namespaced=False)
        for (_, name), obj in list(self.store.collection(MIGSPECS).items()):
            patch = fence_patch(uid=obj["metadata"]["uid"], epoch=self.epoch)
            try:
                self._runner.run(StoreApi(self.store).json_patch(migspecs, name, patch))
            except ApiError as error:
                raise LeadershipLost(str(error)) from error

    def _list(self) -> None:
        for collection, (shelf, read) in self._shelves().items():
            for obj in self.store.collection(collection).values():
                if obj.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                    shelf.watched(key_of(obj), read(obj))
            shelf.listed()
        self.index.geometries_listed = True

    def _shelves(self) -> dict[str, tuple[Shelf[Any], Callable[[Any], Any]]]:
        return {
            PODS: (self.index.pods, self.index.read_pod),
            NODES: (self.index.nodes, read_node),
            MIGSPECS: (self.index.specs, read_spec),
        }

    def observe(self, *, at_most: int | None = None) -> None:
        """Take in what the watches show, in their order, or only the first few events of it."""
        fresh = [change for change in self.store.history if change.version > self._shown]
        for change in fresh[:at_most]:
            self._shown = change.version
            shelf, read = self._shelves()[change.collection]
            after = change.after
            if after is None or after.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                shelf.deleted(key_of(after or change.before or {}))
            else:
                shelf.watched(key_of(after), read(after))

    def decide(self) -> Decisions:
        """One round's decisions, not carried out; an engine that knows nothing of the rounds before must decide the same."""
        view = self.index.view(self.epoch)
        fresh = Engine(POLICY)
        for engine in (self.engine, fresh):
            engine.follow(Mix(), Scale(), now=self.now)
        decisions = decide(view, now=self.now, memory=self.memory, engine=self.engine)
        assert decisions == decide(view, now=self.now, memory=self.memory, engine=fresh)
        return decisions

    def round(self) -> Decisions:
        """Decide, and carry out. Raises `LeadershipLost` when deposed."""
        decisions = self.decide()
        if decisions.deposed_by is not None:
            raise LeadershipLost("deposed")
        self.carry_out(decisions)
        return decisions

    def carry_out(self, decisions: Decisions) -> Done:
        """Write."""
        done = self._runner.run(self._writer.carry_out(decisions))
        self.memory = decisions.memory
        return done
