"""The driver's session is opened anew after the driver was away, whatever it counts then (N4, N5)."""

import asyncio
from pathlib import Path

from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.ownership import Entry
from nodeagent.state import NodeState
from tests.support.rack import ONE, Book, Rack, session_on, slice_of
from tests.support.waiting import until


def read(state: NodeState) -> list[str]:
    """The GPUs by index."""
    return [record.gpu.uuid for _, record in sorted(state.gpus.items()) if record.gpu is not None]


async def test_gpus_that_are_counted_anew_keep_what_they_hold(tmp_path: Path) -> None:
    """N5: a lost GPU is left out after a reload, the others move up; its slices are remembered until it is back, anywhere."""
    rack, book, state = Rack(["GPU-A", "GPU-B"]), Book(), NodeState("node", "boot")
    ledger = Ledger(tmp_path / "ledger.json", boot_id="boot")
    await ledger.open()
    entries = {Entry(gpu, ONE, slice_of(gpu)) for gpu in rack.gpus}
    await ledger.adopt(entries)
    running = asyncio.create_task(session_on(rack, book, state, ledger).run())
    try:
        both = {slice_of("GPU-A"), slice_of("GPU-B")}
        await until(lambda: book.healthy == both, "both offered")
        rack.loaded = False
        await until(lambda: book.healthy == set() and state.driver_trouble is not None, "no driver, nothing offered")
        assert read(state) == ["GPU-A", "GPU-B"]
        rack.gpus, rack.loaded = ["GPU-B"], True
        await until(lambda: read(state) == ["GPU-B"] and book.healthy == {slice_of("GPU-B")}, "one is left")
        assert state.hardware_known
        assert ledger.entries == entries
        rack.loaded = False
        await until(lambda: state.driver_trouble is not None, "no driver again")
        rack.gpus, rack.loaded = ["GPU-B", "GPU-A"], True
        await until(lambda: read(state) == ["GPU-B", "GPU-A"] and book.healthy == both, "both, in another order")
        assert {item.uuid for record in state.gpus.values() for item in record.ours()} == both
        assert ledger.entries == entries
    finally:
        running.cancel()
