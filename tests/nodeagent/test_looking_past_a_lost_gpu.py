"""A GPU that does not answer keeps its own slices in use, and holds up nothing on the others (N5, N7)."""

import asyncio
import time
from pathlib import Path

from mig.migspec import Holder
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.workers import Worker
from nodeagent.state import GpuRecord, NodeState
from nodeagent.use.looker import Looker
from nodeagent.use.usage import Memory, Source, Use
from tests.support.rack import Book, Rack, slice_of
from tests.support.waiting import until

LOST, WELL = "GPU-lost", "GPU-well"


def looker_on(rack: Rack, state: NodeState, folder: Path) -> Looker:
    """Looks at the rack, whose GPUs were all read, with one slice of ours on each."""
    state.inherited = frozenset()
    ledger = Ledger(folder / "ledger.json", boot_id="boot")
    hardware = {}
    for index, uuid in enumerate(rack.gpus):
        gpu = rack.gpu(index)
        record = GpuRecord(index, gpu, rack.instances(gpu), frozenset({1}), processes_known=True)
        state.gpus[index] = record
        hardware[index] = Hardware(record=record, driver=rack, worker=Worker(uuid), ledger=ledger)
    return Looker(state=state, kubelet=Book(), hardware=hardware, clock=time.monotonic)


async def test_a_slice_that_stays_in_use_on_a_lost_gpu_does_not_spoil_the_answer_for_another(tmp_path: Path) -> None:
    """Its Pod is gone and its processes cannot be asked for: it stays used, and the other GPU's slices can be taken away."""
    rack, state = Rack([LOST, WELL], lost={LOST}), NodeState("node", "boot")
    looker = looker_on(rack, state, tmp_path)
    gone = Use(Source.ASSIGNED, time.monotonic(), Holder("default", "gone", "uid-gone"))
    state.memory = Memory({slice_of(LOST): gone})
    assert await looker.look([1])
    assert rack.asked == {LOST: 1, WELL: 1}, "the lost one was asked too, since a use seemed to end there"
    assert state.use(slice_of(LOST)) == gone
    assert not await looker.look([0]), "whoever asks for the lost one learns that it did not answer"


async def test_a_lost_gpu_is_asked_again_and_the_others_are_not(tmp_path: Path) -> None:
    """Each has its own time to be asked again."""
    rack, state = Rack([LOST, WELL], lost={LOST}), NodeState("node", "boot")
    running = asyncio.create_task(looker_on(rack, state, tmp_path).run())
    try:
        await until(lambda: rack.asked[LOST] >= 3, "asked again")
        assert rack.asked[WELL] == 1
    finally:
        running.cancel()
