"""A whole cluster in the model, and the steps by which it moves."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any

from mig.demand import Allotment, allocation_from_annotation
from mig.migspec import Claim, MigSpec
from mig.migspec_json import migspec_from_json
from mig.names import ALLOCATION_ANNOTATION, CONDITION
from mig.occupancy import Placed
from tests.allocator import objects
from tests.allocator.leader import Leader
from tests.allocator.machines import Machine, schedule
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.support.objectstore import JsonObject, ObjectStore

Json = Mapping[str, Any]


class World:
    """Storage, machines, and at first one leader."""

    def __init__(self, runner: asyncio.Runner, *, seed: int = 0) -> None:
        self.store = ObjectStore()
        self.random = Random(seed)
        self.machines: dict[str, Machine] = {}
        self._runner = runner
        self._born = 0
        self.leader = Leader(self.store, epoch=1, runner=runner)

    # Setting the scene

    def add_node(self, name: str, *gpus: str, **machine: Any) -> Machine:
        """A node that is handed over."""
        self.store.create(NODES, "", objects.node(name))
        self.machines[name] = Machine(self.store, name, gpus or (f"GPU-{name}",), **machine)
        return self.machines[name]

    def add_pod(self, name: str, *profiles: str, **more: Any) -> str:
        """A Pod; gives its uid."""
        self._born += 1
        created = f"2026-01-01T00:{self._born // 60:02}:{self._born % 60:02}Z"
        obj = objects.pod(name, *profiles, created=created, **more)
        return str(self.store.create(PODS, "default", obj)["metadata"]["uid"])

    def delete_pod(self, name: str) -> None:
        """Gone at once."""
        self.store.delete(PODS, "default", name)

    def patch(self, collection: str, name: str, **changes: Any) -> None:
        """Merge top-level fields of spec or status or metadata into an object (`spec={...}`)."""
        namespace = "default" if collection == PODS else ""
        obj = self.store.get(collection, namespace, name)
        for part, values in changes.items():
            obj[part] = {**obj.get(part, {}), **values}
        self.store.update(collection, namespace, name, obj, subresource="status" if "status" in changes else "")

    def new_leader(self, **more: Any) -> Leader:
        """Another process takes over; the old one may still be running."""
        self.leader = Leader(self.store, epoch=self.leader.epoch + 1, runner=self._runner, **more)
        return self.leader

    # Looking

    def pod(self, name: str) -> JsonObject:
        """A Pod as stored."""
        return self.store.get(PODS, "default", name)

    def gated(self, name: str) -> bool:
        """Whether the Pod has gates."""
        return bool(self.pod(name)["spec"].get("schedulingGates"))

    def bound_to(self, name: str) -> str:
        """Its node, or empty."""
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def nominated(self, name: str) -> str:
        """Its nominated node, or empty."""
        return str(self.pod(name)["status"].get("nominatedNodeName", ""))

    def condition(self, name: str) -> JsonObject:
        """Our condition, or an empty one."""
        conditions = self.pod(name)["status"].get("conditions", [])
        return next((item for item in conditions if item["type"] == CONDITION), {"reason": "", "message": ""})

    def allocation(self, name: str) -> Mapping[str, Allotment]:
        """Its annotation, read."""
        return allocation_from_annotation(self.pod(name)["metadata"]["annotations"].get(ALLOCATION_ANNOTATION, "{}"))

    def migspec(self, node: str) -> MigSpec:
        """A MigSpec as stored."""
        return migspec_from_json(self.store.get(MIGSPECS, "", node))

    def claims(self, uid: str | None = None) -> list[tuple[str, str, Placed, Claim]]:
        """Every claim (of one Pod): node, GPU, slice, claim."""
        return [
            (name, gpu.uuid, item.placed, claim)
            for (_, name) in list(self.store.collection(MIGSPECS))
            for gpu, item, claim in self.migspec(name).spec.claims()
            if uid in (None, claim.uid)
        ]

    def slices(self, node: str) -> list[Placed]:
        """Every slice in a node's spec."""
        return [item.placed for gpu in self.migspec(node).spec.gpus for item in gpu.slices]

    # Moving

    def round(self) -> None:
        """The leader sees everything and acts once."""
        self.leader.observe()
        self.leader.round()

    def agents(self) -> None:
        """Every agent makes its hardware what its spec says, and reports."""
        for machine in self.machines.values():
            machine.collect()
            while machine.work():
                pass
            machine.report()

    def kubelets(self) -> None:
        """Every kubelet hands out devices."""
        for machine in self.machines.values():
            machine.hand_out(self.random)

    def run(self, rounds: int = 6, *, seconds: float = 0.1, scheduler: bool = True, stubborn: bool = False) -> None:
        """Everybody does what there is to do, again and again."""
        for _ in range(rounds):
            self.round()
            self.agents()
            if scheduler:
                schedule(self.store, self.random, stubborn=stubborn)
                self.kubelets()
                self.agents()
            self.leader.now += seconds


@contextmanager
def world(*, nodes: int = 1, gpus: int = 1, seed: int = 0) -> Iterator[World]:
    """A world whose nodes are handed over and whose GPUs are taken on."""
    with asyncio.Runner() as runner:
        made = World(runner, seed=seed)
        for number in range(1, nodes + 1):
            made.add_node(f"n{number}", *(f"GPU-{number}-{index}" for index in range(gpus)))
        made.run(4)
        yield made
