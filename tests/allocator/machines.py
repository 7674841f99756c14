"""What runs on and around the nodes of the model: hardware and agent, kubelet, scheduler.

Each does one step when told to, so that a test decides what happens in which order. They keep the rules that the real ones keep:
an agent reports truthfully and takes nothing away that is used, a kubelet hands out any free device of the profile, the scheduler
binds only where the Node shows enough devices.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mig.demand import needs_of
from mig.migspec import Condition, Holder, MigMode, SliceState, Status, StatusGpu, StatusSlice
from mig.migspec_json import migspec_from_json, status_to_json
from mig.names import AGENT_LEAVING
from mig.occupancy import Placed, fits_beside
from mig.profiles import Profile
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.support.objectstore import JsonObject, ObjectStore
from tests.support.shapes import shapes


@dataclass
class Machine:
    """One node's GPUs, its agent and its kubelet."""

    store: ObjectStore
    name: str
    gpus: tuple[str, ...]
    model: str = "a100-80gb"
    instances: dict[str, dict[Placed, str]] = field(default_factory=dict)
    """GPU → what exists on it, ours."""
    foreign: dict[str, tuple[Placed, ...]] = field(default_factory=dict)
    devices: dict[tuple[str, Placed], tuple[str, str, str, str]] = field(default_factory=dict)
    """Slice → (namespace, Pod, uid, container) that holds it."""
    broken: set[tuple[str, int]] = field(default_factory=set)
    """(GPU, start) where every creation fails."""
    failed: set[tuple[str, Placed]] = field(default_factory=set)
    adopted: set[tuple[str, Placed]] = field(default_factory=set)
    """Slices that were foreign: kept though the spec does not list them, unless it wants their room."""
    ill: dict[str, str] = field(default_factory=dict)
    """GPU → why its driver does not answer: nothing changes there, and the report says so."""
    lost: set[str] = field(default_factory=set)
    """Those of them that are known not to answer, so that what is wanted there has failed."""
    hides_slices: bool = False
    leaving: bool = False
    """The agent was told to end: it says so, and changes no hardware any more."""
    made: int = 0
    destroyed: int = 0

    def __post_init__(self) -> None:
        for gpu in self.gpus:
            self.instances.setdefault(gpu, {})

    # The agent

    def spec(self) -> JsonObject | None:
        """The MigSpec as stored."""
        return self.store.collection(MIGSPECS).get(("", self.name))

    def wanted(self) -> dict[str, set[Placed]]:
        """GPU → what the spec wants there; GPUs that it does not name are missing."""
        obj = self.spec()
        if obj is None:
            return {}
        return {gpu.uuid: {item.placed for item in gpu.slices} for gpu in migspec_from_json(obj).spec.gpus}

    def work(self) -> bool:
        """One change of the hardware towards the spec; False when there is none to make."""
        if self.leaving:
            return False
        for gpu, wanted in self.wanted().items():
            if gpu not in self.instances or gpu in self.ill:
                continue
            existing = self.instances[gpu]
            for placed in sorted(existing):
                if placed not in wanted and self._may_destroy(gpu, placed) and not self._keeps(gpu, placed, wanted):
                    del existing[placed]
                    self.destroyed += 1
                    return True
            for placed in sorted(wanted - set(existing)):
                if self._make(gpu, placed):
                    return True
        return False

    def adopt(self, gpu: str, placed: Placed) -> None:
        """Take a foreign slice over."""
        self.foreign[gpu] = tuple(item for item in self.foreign[gpu] if item != placed)
        self.instances[gpu][placed] = f"MIG-foreign-{placed.window.start}"
        self.adopted.add((gpu, placed))

    def _keeps(self, gpu: str, placed: Placed, wanted: set[Placed]) -> bool:
        return (gpu, placed) in self.adopted and not any(placed.window.overlaps(other.window) for other in wanted)

    def _may_destroy(self, gpu: str, placed: Placed) -> bool:
        return (gpu, placed) not in self.devices and not self.lacking(placed.profile)

    def _make(self, gpu: str, placed: Placed) -> bool:
        if (gpu, placed.window.start) in self.broken:
            fresh = (gpu, placed) not in self.failed
            self.failed.add((gpu, placed))
            return fresh
        beside = [*self.instances[gpu], *self.foreign.get(gpu, ())]
        if not fits_beside(shapes()[self.model].by_profile[placed.profile], placed.window.start, beside):
            return False
        self.instances[gpu][placed] = f"MIG-{self.name}-{self.made}"
        self.made += 1
        return True

    def report(self) -> None:
        """Publish the counts, then write the status by the spec as it is now."""
        self._publish_counts()
        obj = self.spec()
        if obj is not None:
            generation = obj["metadata"]["generation"]
            gpus = tuple(self._gpu(place, uuid) for place, uuid in enumerate(self.gpus))
            healthy = Condition("Healthy", "True", "Healthy", "all is well")
            conditions = (Condition("Healthy", "False", AGENT_LEAVING, "was told to end") if self.leaving else healthy,)
            status = status_to_json(Status(generation, "boot", "580", gpus, conditions))
            if status != obj.get("status"):
                self.store.update(MIGSPECS, "", self.name, {**obj, "status": status}, subresource="status")

    def _gpu(self, index: int, uuid: str) -> StatusGpu:
        shape = shapes()[self.model]
        wanted = self.wanted().get(uuid)
        self.adopted -= {(uuid, placed) for placed in wanted or ()}
        slices = [
            self._slice(uuid, placed, wanted is None or placed in wanted or self._keeps(uuid, placed, wanted))
            for placed in self.instances[uuid]
        ]
        slices += [
            StatusSlice(
                placed.window,
                placed.profile,
                SliceState.FAILED if (uuid, placed) in self.failed or uuid in self.lost else SliceState.CREATING,
                message="no luck" if (uuid, placed) in self.failed else "",
            )
            for placed in (wanted or set()) - set(self.instances[uuid])
        ]
        slices += [
            StatusSlice(placed.window, placed.profile, SliceState.FOREIGN, owned=False)
            for placed in self.foreign.get(uuid, ())
        ]
        self.failed = {(gpu, placed) for gpu, placed in self.failed if gpu != uuid or placed in (wanted or set())}
        return StatusGpu(
            uuid,
            index,
            "NVIDIA A100-SXM4-80GB",
            MigMode.ENABLED,
            shape.width,
            shape.offers,
            tuple(slices),
            self.ill.get(uuid, ""),
        )

    def _slice(self, gpu: str, placed: Placed, wanted: bool) -> StatusSlice:  # noqa: FBT001 - a private table
        held = self.devices.get((gpu, placed))
        state = SliceState.USED if held else SliceState.FREE if wanted else SliceState.DELETING
        if state is SliceState.FREE and self.hides_slices:
            state = SliceState.CREATING
        return StatusSlice(
            placed.window,
            placed.profile,
            state,
            uuid=self.instances[gpu][placed],
            holder=Holder(held[0], held[1], held[2], held[3]) if held else None,
        )

    def _publish_counts(self) -> None:
        obj = self.store.collection(NODES).get(("", self.name))
        if obj is None:
            return
        wanted = self.wanted()
        counts = Counter(
            placed.profile.resource
            for gpu, existing in self.instances.items()
            for placed in existing
            if not self.hides_slices
            and (
                (gpu, placed) in self.devices
                or gpu not in wanted
                or placed in wanted[gpu]
                or self.lacking(placed.profile)
            )
        )
        status = obj["status"]
        kept = {key: value for key, value in status["allocatable"].items() if "mig-" not in key}
        allocatable = kept | {name: str(count) for name, count in counts.items()}
        if allocatable != status["allocatable"]:
            new = {**obj, "status": {**status, "allocatable": allocatable}}
            self.store.update(NODES, "", self.name, new, subresource="status")

    # The kubelet

    def pods(self) -> list[JsonObject]:
        """The Pods that are bound here and have not finished."""
        return [pod for pod in unfinished(self.store) if pod["spec"].get("nodeName") == self.name]

    def lacking(self, profile: Profile | None = None) -> list[tuple[JsonObject, str, Profile]]:
        """Bound Pods whose containers have no device yet."""
        served = {(uid, container) for _, _, uid, container in self.devices.values()}
        return [
            (pod, need.container, need.profile)
            for pod in self.pods()
            for need in needs_of(pod["spec"])
            if (pod["metadata"]["uid"], need.container) not in served and profile in (None, need.profile)
        ]

    def hand_out(self, random: Random) -> None:
        """Give every bound container any free device of its profile; there must be one."""
        self.collect()
        for pod, container, profile in self.lacking():
            free = [
                (gpu, placed)
                for gpu, existing in self.instances.items()
                for placed in existing
                if placed.profile == profile and (gpu, placed) not in self.devices
            ]
            assert free, f"{pod['metadata']['name']} was bound to {self.name} and there is no {profile} for it"
            metadata = pod["metadata"]
            self.devices[random.choice(sorted(free))] = (
                metadata["namespace"],
                metadata["name"],
                metadata["uid"],
                container,
            )

    def collect(self) -> None:
        """Take back the devices of Pods that are gone."""
        alive = {pod["metadata"]["uid"] for pod in self.pods()}
        self.devices = {slot: held for slot, held in self.devices.items() if held[2] in alive}


def unfinished(store: ObjectStore) -> list[JsonObject]:
    """The Pods that have not finished."""
    return [pod for pod in store.collection(PODS).values() if pod["status"].get("phase") not in ("Succeeded", "Failed")]


def schedule(store: ObjectStore, random: Random, *, stubborn: bool = False) -> None:
    """Bind every Pod without gates where the Node shows enough devices: nominated first, or (`stubborn`) elsewhere first."""
    for pod in sorted(unfinished(store), key=lambda pod: str(pod["metadata"]["name"])):
        if pod["spec"].get("nodeName") or pod["spec"].get("schedulingGates"):
            continue
        nominated = pod["status"].get("nominatedNodeName", "")
        nodes = [node for node in store.collection(NODES).values() if _has_room(store, node, pod)]
        if not nodes:
            _say_unschedulable(store, pod)
            continue
        random.shuffle(nodes)
        nodes.sort(key=lambda node: (node["metadata"]["name"] == nominated) == stubborn)
        metadata = pod["metadata"]
        bound = json.loads(json.dumps(pod))
        bound["spec"]["nodeName"] = nodes[0]["metadata"]["name"]
        bound["status"].pop("nominatedNodeName", None)
        store.update(PODS, metadata["namespace"], metadata["name"], bound)
        store.update(
            PODS,
            metadata["namespace"],
            metadata["name"],
            bound | {"metadata": metadata_of(bound)},
            subresource="status",
        )


def metadata_of(obj: JsonObject) -> dict[str, Any]:
    """The metadata without the resourceVersion, for a write that overwrites."""
    return {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}


def _has_room(store: ObjectStore, node: JsonObject, pod: JsonObject) -> bool:
    name = node["metadata"]["name"]
    if node["spec"].get("unschedulable") or name in pod["metadata"]["annotations"].get("test/refused-by", "").split(
        ","
    ):
        return False
    left = Counter({key: int(value) for key, value in node["status"]["allocatable"].items() if "mig-" in key})
    for other in unfinished(store):
        nominated = other["status"].get("nominatedNodeName") == name and not other["spec"].get("nodeName")
        if other is not pod and (other["spec"].get("nodeName") == name or nominated):
            left.subtract(need.profile.resource for need in needs_of(other["spec"]))
    wanted = Counter(need.profile.resource for need in needs_of(pod["spec"]))
    return all(left[resource] >= count for resource, count in wanted.items())


def _say_unschedulable(store: ObjectStore, pod: JsonObject) -> None:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0 nodes are available"}
    conditions = pod["status"].get("conditions", [])
    if said not in conditions:
        status = {**pod["status"], "conditions": [*conditions, said]}
        metadata = pod["metadata"]
        store.update(PODS, metadata["namespace"], metadata["name"], {**pod, "status": status}, subresource="status")
