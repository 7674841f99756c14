"""One call that fails while a GPU is read takes nothing from the kubelet: a Pod that is bound just then gets its slice (N7)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.gpus.driver import NoSuchInstance
from nodeagent.gpus.hardware import READS
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.ownership import Entry
from nodeagent.state import NodeState
from nodeagent.values import Gpu, Instance
from tests.support.rack import ONE, Book, Rack, session_on, slice_of
from tests.support.waiting import until

GPU = "GPU-A"


@dataclass
class Wavering(Rack):
    """Its next `refusals` listings fail, as where somebody destroys an instance between two calls."""

    refusals: int = 0
    listed: int = 0

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """Its slice, or not."""
        self.listed += 1
        if self.refusals:
            self.refusals -= 1
            raise NoSuchInstance("it was listed, and is gone")
        return super().instances(gpu)


@dataclass
class Heedful(Book):
    """Also keeps what was withdrawn."""

    withdrawn: list[str] = field(default_factory=list)

    def withdraw(self, device_id: str) -> None:
        """Not healthy."""
        super().withdraw(device_id)
        self.withdrawn.append(device_id)


@asynccontextmanager
async def keeping(rack: Rack, book: Book, state: NodeState, folder: Path) -> AsyncIterator[None]:
    """A session whose slice is ours, and offered."""
    ledger = Ledger(folder / "ledger.json", boot_id="boot")
    await ledger.open()
    await ledger.adopt([Entry(GPU, ONE, slice_of(GPU))])
    running = asyncio.create_task(session_on(rack, book, state, ledger).run())
    try:
        await until(lambda: book.healthy == {slice_of(GPU)}, "offered")
        yield
    finally:
        running.cancel()


async def test_a_reading_that_fails_twice_withdraws_nothing(tmp_path: Path) -> None:
    """And no trouble is told: the next try shows what is there."""
    rack, book, state = Wavering([GPU]), Heedful(), NodeState("node", "boot")
    async with keeping(rack, book, state, tmp_path):
        rack.refusals = READS - 1
        listed = rack.listed + READS
        await until(lambda: rack.listed > listed, "read on")
        assert state.gpus[0].trouble is None
        assert book.withdrawn == []


async def test_readings_that_fail_in_a_row_withdraw_until_one_succeeds(tmp_path: Path) -> None:
    """Nobody knows what is there: it is told, and offered again once it is known."""
    rack, book, state = Wavering([GPU]), Heedful(), NodeState("node", "boot")
    async with keeping(rack, book, state, tmp_path):
        rack.refusals = READS
        await until(lambda: book.withdrawn == [slice_of(GPU)], "withdrawn")
        trouble = state.gpus[0].trouble
        assert trouble is not None
        assert "it was listed, and is gone" in trouble.message
        await until(lambda: book.healthy == {slice_of(GPU)} and state.gpus[0].trouble is None, "known again")
