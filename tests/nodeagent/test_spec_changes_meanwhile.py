"""The spec changes while a driver's call is waited for: the next step is by the new one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mig.migspec import MigSpec, Spec, SpecGpu, SpecSlice
from mig.occupancy import Placed
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.ownership import Entry
from nodeagent.state import NodeState
from nodeagent.values import Gpu, Instance
from tests.support.instances import placed
from tests.support.rack import Book, Rack, session_on
from tests.support.waiting import until

GPU = "GPU-a"
FIRST, SECOND, NEW = (placed(text) for text in ("1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4"))


@dataclass
class Bench(Rack):
    """One GPU on which instances are made and destroyed; each call may be long enough for the spec to change."""

    here: dict[Placed, Instance] = field(default_factory=dict)
    destroyed: list[Placed] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """What there is."""
        assert gpu.uuid == GPU
        return tuple(self.here.values())

    def create(self, gpu: Gpu, placed: Placed) -> Instance:
        """Made, after a while."""
        self.meanwhile()
        self.here[placed] = Instance(gpu.uuid, 9, placed, "MIG-new", ci=0)
        return self.here[placed]

    def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """Made whole."""
        assert gpu.uuid == GPU
        self.here[instance.placed] = replace(instance, uuid="MIG-whole", ci=0)
        return self.here[instance.placed]

    def destroy(self, gpu: Gpu, instance: Instance) -> None:
        """Gone, after a while."""
        assert gpu.uuid == GPU
        self.meanwhile()
        del self.here[instance.placed]
        self.destroyed.append(instance.placed)


def spec_of(*wanted: Placed) -> MigSpec:
    """A MigSpec that wants these."""
    slices = tuple(SpecSlice(item.window, item.profile) for item in wanted)
    return MigSpec("node", "uid", 1, "1", Spec(1, (SpecGpu(GPU, slices),)))


async def whole_in_the_end(
    *half_made: Placed, before: MigSpec, then: MigSpec, expected: set[Placed], at: Path
) -> Bench:
    """Keep a GPU with half-made instances of ours by a spec, and by another from the first call on, until all is as expected."""
    bench = Bench([GPU], here={item: Instance(GPU, gi, item) for gi, item in enumerate(half_made)})
    state = NodeState("node", "boot", migspec=before)
    ledger = Ledger(at / "ledger.json", boot_id="boot")
    await ledger.open()
    await ledger.adopt(Entry(GPU, item, "") for item in half_made)
    loop = asyncio.get_running_loop()
    bench.meanwhile = lambda: loop.call_soon_threadsafe(setattr, state, "migspec", then)
    running = asyncio.create_task(session_on(bench, Book(), state, ledger).run())
    try:
        await until(
            lambda: bench.here.keys() == expected and all(item.uuid for item in bench.here.values()), "as expected"
        )
    finally:
        running.cancel()
    return bench


async def test_what_is_wanted_again_while_another_is_made_is_not_destroyed(tmp_path: Path) -> None:
    """The making was planned together with the taking away."""
    bench = await whole_in_the_end(
        FIRST, before=spec_of(NEW), then=spec_of(NEW, FIRST), expected={NEW, FIRST}, at=tmp_path
    )
    assert bench.destroyed == []


async def test_what_is_wanted_again_while_another_is_destroyed_stays(tmp_path: Path) -> None:
    """Two were to be taken away in one pass."""
    bench = await whole_in_the_end(
        FIRST, SECOND, before=spec_of(), then=spec_of(SECOND), expected={SECOND}, at=tmp_path
    )
    assert bench.destroyed == [FIRST]
