"""Slices that are taken away on a real node, each held at any step of the way by the test.

Everything is the agent's own but the hardware, which is a model behind `Driver`, and the one who says "go on": here the
test calls `advance`, where the agent's keeper does so whenever something changed.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from cluster import Cluster, Node
from kube.listwatch import list_watch
from kube.resource import PODS
from kube.watchstate import Delete, Synced, Upsert
from mig.migspec import MigMode
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import Profile
from nodeagent.gpus.departures import Departures, HeldBack, device_of
from nodeagent.gpus.driver import Refused
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.workers import Worker
from nodeagent.pods import pod_from_json
from nodeagent.state import GpuRecord, NodeState
from nodeagent.use.looker import Looker
from nodeagent.values import DriverFacts, Gpu, Instance, Processes
from tests.support.real_node import RealNode, running_beside
from tests.support.slices import uuid


class ModelDriver:
    """Hardware on which instances are only taken away, at once or when the test lets them go."""

    def __init__(self) -> None:
        self.destroyed: list[str] = []
        self.entered = Event()
        self.may_destroy = Event()
        self.may_destroy.set()

    def start(self) -> DriverFacts:
        """Nothing to start."""
        return DriverFacts("model", 1)

    def gpu(self, index: int) -> Gpu:
        """Not read again here."""
        raise Refused(f"GPU {index} is not read")

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """Not read again here."""
        raise Refused(f"{gpu.uuid} is not read")

    def create(self, gpu: Gpu, placed: Placed) -> Instance:
        """Nothing is made."""
        raise Refused(f"{placed} is not made on {gpu.uuid}")

    def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """Nothing is made."""
        raise Refused(f"{instance} is not completed on {gpu.uuid}")

    def destroy(self, gpu: Gpu, instance: Instance) -> None:  # noqa: ARG002  # as of `Driver`
        """Gone, once the test lets it."""
        self.entered.set()
        assert self.may_destroy.wait(timeout=60)
        self.destroyed.append(instance.uuid)

    def enable_mig(self, gpu: Gpu) -> str:
        """Not asked here."""
        raise Refused(f"{gpu.uuid} has MIG on")

    def processes(self, gpu: Gpu) -> Processes:  # noqa: ARG002  # as of `Driver`
        """Nobody computes."""
        return {}


@dataclass
class Departing:
    """One slice, alone on its GPU and of a profile of its own."""

    real: RealNode
    state: NodeState
    hardware: Hardware
    departures: Departures
    driver: ModelDriver
    instance: Instance
    wanted: bool = False
    background: "asyncio.Task[None] | None" = None
    """What the test lets go on by itself."""

    @property
    def device_id(self) -> str:
        """Its UUID."""
        return self.instance.uuid

    @property
    def profile(self) -> Profile:
        """Its profile."""
        return self.instance.placed.profile

    @property
    def stage(self) -> str:
        """`PRESENT`, `HELD`, `SHOWN` or `WITHDRAWN`, as the agent's record has it."""
        departure = self.hardware.record.leaving.get(self.device_id)
        return departure.stage.name if departure else "PRESENT"

    @property
    def exists(self) -> bool:
        """Whether the hardware still has it."""
        return self.device_id not in self.driver.destroyed

    @property
    def counted(self) -> str | None:
        """The Node's allocatable of its profile, as the watch showed it last."""
        return self.real.allocatable(self.profile)

    def offer(self) -> None:
        """What the keeper does with a slice that exists."""
        self.real.kubelet.offer(device_of(self.hardware.record.gpu, self.instance))

    async def advance(self) -> None:
        """Go on as far as it can now; a slice that is used, or wanted, is no longer on its way."""
        gpu = self.hardware.record.gpu
        assert gpu is not None
        await self.departures.advance(gpu, self._unwanted)

    def _unwanted(self) -> list[Instance]:
        leaves = not self.wanted and self.exists and self.state.use(self.device_id) is None
        return [self.instance] if leaves else []

    async def advance_until(self, condition: Callable[[], bool], *, what: str, within_s: float = 30.0) -> None:
        """Go on and on."""
        give_up = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < give_up, f"{self.profile} is {self.stage}; not within {within_s:g} s: {what}"
            await self.advance()
            await asyncio.sleep(0.01)

    @property
    def listed(self) -> bool:
        """Whether the Node still has it in its capacity: its id is in the list that the kubelet is sent."""
        return bool(self.real.shown[-1][1]["capacity"].get(self.profile.resource) == "1")


@dataclass
class Scene:
    """What a test holds: one agent's memory, and the slices."""

    real: RealNode
    state: NodeState
    looker: Looker
    hardware: dict[int, Hardware]
    ledger: Ledger
    held_back: HeldBack
    slices: list[Departing] = field(default_factory=list)


@contextlib.asynccontextmanager
async def departing(
    cluster: Cluster, node: Node, profiles: Sequence[Profile], *, folder: Path, gone: frozenset[str] = frozenset()
) -> AsyncIterator[Scene]:
    """An agent's rooms around the slices, one a profile; those that are gone are not offered."""
    state = NodeState(node.name, "boot")
    ledger = Ledger(folder / "ledger.json", boot_id="boot")
    await ledger.open()
    looker: list[Looker] = []

    def changed() -> None:
        if looker:
            looker[0].handed_out()

    async with running_beside(cluster, node, on_change=changed) as real, asyncio.TaskGroup() as tasks:
        hardware: dict[int, Hardware] = {}
        looker.append(Looker(state=state, kubelet=real.kubelet, hardware=hardware, clock=time.monotonic))
        scene = Scene(real, state, looker[0], hardware, ledger, HeldBack(real.kubelet))
        for number, profile in enumerate(profiles):
            instance = Instance(f"GPU-{number}", 1, Placed(Window(0, 1), profile), uuid(1000 + number), ci=0)
            if instance.uuid not in gone:
                scene.slices.append(_slice(scene, number, instance))
        running = [tasks.create_task(looker[0].run()), tasks.create_task(_watch_pods(scene))]
        try:
            yield scene
        finally:
            for each in scene.slices:
                each.driver.may_destroy.set()
            for task in running:
                task.cancel()


def _slice(scene: Scene, number: int, instance: Instance) -> Departing:
    gpu = Gpu(instance.gpu, number, "model", MigMode.ENABLED)
    record = scene.state.gpus[number] = GpuRecord(number, gpu, (instance,), frozenset({instance.gi}))
    driver = ModelDriver()
    here = Hardware(record=record, driver=driver, worker=Worker(gpu.uuid), ledger=scene.ledger)
    scene.hardware[number] = here

    async def look() -> bool:
        return await scene.looker.look([number])

    departures = Departures(
        hardware=here,
        state=scene.state,
        kubelet=scene.real.kubelet,
        held_back=scene.held_back,
        look=look,
        clock=time.monotonic,
        observe=lambda _step, _outcome: None,
    )
    made = Departing(scene.real, scene.state, here, departures, driver, instance)
    made.offer()
    return made


async def _watch_pods(scene: Scene) -> None:
    state = scene.state
    watch = list_watch(
        scene.real.api, PODS, decode=pod_from_json, field_selector=f"spec.nodeName={scene.real.node.name}"
    )
    async with contextlib.aclosing(watch) as events:
        async for event in events:
            match event:
                case Upsert(obj=pod):
                    state.pods[pod.uid] = pod
                case Delete(obj=pod):
                    state.pods.pop(pod.uid, None)
                case Synced() if state.inherited is None:
                    state.inherited = frozenset(state.pods)
            scene.looker.wake()
