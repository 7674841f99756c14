"""One node with eight simulated H100s, its agent, and a bare driver beside it: what the measurements of `bench.agent` share.

Everything is seen as others see it: a moment is when a watch of the API server brought the change. The bare driver makes the
calls of the agent's own `NvmlDriver`, in a process of its own, on a node of the same simulator that nobody else uses.
"""

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo.onlooker import Onlooker
from demo.plan import node_plan
from demo.stack import Stack
from kube.client import Api
from kube.resource import NODES
from mig.migspec import MigSpec, SliceState, StatusSlice
from nodeagent.gpus.ledger import Stored, store
from nodeagent.telling.publisher import MIGSPECS
from simgpu import SimNode
from tests.support.agenthost import AgentHost, slices
from tests.support.driverprocess import DriverProcess
from tests.support.instances import placed

NODE: Final = "bench"
MODEL: Final = "h100-80gb"
GPUS: Final = 8
NAMESPACE: Final = "default"
PATIENCE_S: Final = 60.0
PROFILE: Final = "1g.10gb"
PLACES: Final = tuple(f"{PROFILE}@{start}+1" for start in range(7))


@dataclass(frozen=True, slots=True)
class Bare:
    """What the driver alone takes, in seconds."""

    create_s: float
    destroy_s: float


class BareDriver:
    """The agent's own calls with no agent around them."""

    def __init__(self, folder: Path) -> None:
        self._driver = DriverProcess(SimNode.create(folder, gpus=[MODEL], latencies=True))
        self._driver.start()
        self._gpu = self._driver.gpu(0)

    def measure(self, place: str) -> Bare:
        """Make one slice and destroy it again."""
        began = time.monotonic()
        made = self._driver.create(self._gpu, placed(place))
        there = time.monotonic()
        self._driver.destroy(self._gpu, made)
        return Bare(create_s=there - began, destroy_s=time.monotonic() - there)

    def close(self) -> None:
        """End its process."""
        self._driver.kill()


class Bench:
    """The agent, and what an onlooker sees of it."""

    def __init__(self, host: AgentHost, onlooker: Onlooker, bare: BareDriver) -> None:
        self.host = host
        self.bare = bare
        self._onlooker = onlooker
        self._serial = 0
        self._places = itertools.cycle(PLACES)

    def next_place(self) -> str:
        """Where the next slice goes.

        Another place each time: a slice where one has just gone has that one's UUID, which the kubelet still lists for 2 s.
        """
        return next(self._places)

    async def want(self, places: Mapping[int, str]) -> float:
        """Write a spec with at most one slice a GPU, and give the moment when it was written: seen, or answered if sooner."""
        before = self._migspec().generation if NODE in self._onlooker.timeline.migspecs else 0
        write = asyncio.create_task(
            self.host.want({index: [places[index]] if index in places else [] for index in range(GPUS)})
        )
        seen = asyncio.create_task(self._until(lambda: self._migspec().generation > before, "the spec"))
        await asyncio.wait({write, seen}, return_when=asyncio.FIRST_COMPLETED)
        written = time.monotonic()
        await asyncio.gather(write, seen)
        return written

    async def bare_writes(self) -> float:
        """Make the writes that the agent cannot do without for one slice, one after the other, with no agent; seconds.

        The ledger on the disk, the Node's count, and a change of the MigSpec until a watch shows it.
        """
        self._serial += 1
        began = time.monotonic()
        await asyncio.to_thread(store, self.host.folder / "bare-ledger.json", Stored("bench"))
        count = {"status": {"capacity": {"bench.example/count": str(self._serial)}}}
        await self.host.api.merge_patch(NODES, NODE, count, subresource="status")
        note = {"metadata": {"annotations": {"bench.example/count": str(self._serial)}}}
        version = (await self.host.api.merge_patch(MIGSPECS, NODE, note))["metadata"]["resourceVersion"]
        return await self._until(lambda: int(self._migspec().resource_version) >= int(version), "a change") - began

    async def free(self, places: Mapping[int, str]) -> float:
        """Wait until these slices, and no others of ours, are reported Free; the moment when that was seen."""

        def holds() -> bool:
            return all(
                [(item.placed, item.state) for item in self._slices(index)]
                == ([(placed(places[index]), SliceState.FREE)] if index in places else [])
                for index in range(GPUS)
            )

        return await self._until(lambda: self._reported() and holds(), f"{dict(places)} free")

    async def used(self, gpu: int) -> None:
        """Wait until a GPU's one slice is reported used at the present generation."""
        await self._until(
            lambda: self._reported() and [item.state for item in self._slices(gpu)] == [SliceState.USED], "used"
        )

    async def run_pod(self, *command: str) -> str:
        """Run a Pod on a slice; its name once it runs."""
        self._serial += 1
        name = f"bench-{self._serial}"
        await self.host.run_pod(name, PROFILE, *command)
        await self._until(lambda: self._phase(name) in ("Running", "Succeeded"), f"{name} running")
        return name

    async def finished(self, name: str) -> float:
        """Wait until a Pod has ended by itself; the moment when that was seen."""
        return await self._until(lambda: self._phase(name) == "Succeeded", f"{name} finished")

    async def ended_by_deletion(self, name: str) -> float:
        """Delete a Pod; the moment when its containers were seen to have ended, which is some time before its object goes."""
        await self.host.delete_pod(name)

        def ended() -> bool:
            track = self._onlooker.timeline.named(name)
            return track is None or track.gone or track.phase in ("Succeeded", "Failed")

        return await self._until(ended, f"{name} ended")

    def _migspec(self) -> MigSpec:
        return self._onlooker.timeline.migspecs[NODE]

    def _reported(self) -> bool:
        migspec = self._migspec()
        return migspec.status is not None and migspec.status.observed_generation == migspec.generation

    def _slices(self, gpu: int) -> list[StatusSlice]:
        status = self._migspec().status
        return slices(status, self.host.sim.gpus[gpu].uuid) if status else []

    def _phase(self, name: str) -> str:
        track = self._onlooker.timeline.named(name)
        return track.phase if track else ""

    async def _until(self, holds: Callable[[], bool], what: str) -> float:
        def known(_: object) -> bool:
            return NODE in self._onlooker.timeline.migspecs and holds()

        if not await self._onlooker.until(known, timeout_s=PATIENCE_S):
            raise TimeoutError(f"never seen: {what}\n{self.host.log[-2000:]}")
        return time.monotonic()


@contextlib.asynccontextmanager
async def bench_node(stack: Stack) -> AsyncIterator[Bench]:
    """The agent runs and has reported an empty node."""
    here = stack.nodes[NODE]
    async with contextlib.AsyncExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        api = await held.enter_async_context(Api.connect(stack.cluster.kubeconfig, user_agent="nos-mig-bench"))
        onlooker = await held.enter_async_context(Onlooker(api, namespace=NAMESPACE).watching())
        bare = BareDriver(folder / "bare")
        held.callback(bare.close)
        host = AgentHost(api, stack, NODE, here.sim, folder)
        held.push_async_callback(host.clean)
        host.start()
        bench = Bench(host, onlooker, bare)
        await bench.want({})
        await bench.free({})
        yield bench


def bench_stack(stack: Stack) -> None:
    """Bring the node up; no webhook, since the benchmark stands in for the allocator."""
    stack.add_nodes([node_plan(NODE, *[MODEL] * GPUS, latencies=True)])
    stack.install_chart()
    stack.cluster.kubectl("delete", "mutatingwebhookconfiguration", "nos-mig")
