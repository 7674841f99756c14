"""One thread a GPU: deadlines, no second call on a driver that hangs, and others unaffected (N7)."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from nodeagent.gpus.driver import DriverBusy, DriverSilent, NoRoom
from nodeagent.gpus.workers import Worker


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    """A worker, and its thread's end."""
    worker = Worker("gpu-0")
    yield worker
    worker.stop()


async def test_results_and_errors_come_back(worker: Worker) -> None:
    """From one thread, always the same, never the event loop's."""
    first = await worker.call(threading.get_ident, deadline_s=5)
    assert first == await worker.call(threading.get_ident, deadline_s=5) != threading.get_ident()

    def fail() -> None:
        raise NoRoom("taken")

    with pytest.raises(NoRoom, match="taken"):
        await worker.call(fail, deadline_s=5)


async def test_a_call_that_hangs_is_given_up_and_no_second_is_made() -> None:
    """`DriverSilent` at the deadline; afterwards at once; the time it hangs shows; its end is told."""
    release, returned = threading.Event(), asyncio.Event()
    calls: list[str] = []

    def hang() -> None:
        calls.append("first")
        release.wait(30)

    worker = Worker("gpu-0", on_return=returned.set)
    with pytest.raises(DriverSilent, match=r"within 0\.05 s"):
        await worker.call(hang, deadline_s=0.05)
    began = time.monotonic()
    with pytest.raises(DriverSilent, match="has not returned"):
        await worker.call(lambda: calls.append("second"), deadline_s=5)
    assert time.monotonic() - began < 1
    silent = worker.silent
    assert silent
    assert worker.running_s >= 0.05
    assert calls == ["first"]
    release.set()
    async with asyncio.timeout(5):
        await returned.wait()
    assert not worker.silent
    assert worker.running_s == 0
    await worker.call(lambda: calls.append("third"), deadline_s=5)
    assert calls == ["first", "third"]
    worker.stop()


async def test_the_event_loop_and_other_gpus_go_on_meanwhile() -> None:
    """A GPU that hangs delays no other."""
    release = threading.Event()
    stuck, other = Worker("gpu-0"), Worker("gpu-1")
    hanging = asyncio.create_task(stuck.call(lambda: release.wait(30), deadline_s=30))
    await asyncio.sleep(0)
    assert await other.call(lambda: 42, deadline_s=5) == 42
    assert not hanging.done()
    release.set()
    assert await hanging
    stuck.stop()
    other.stop()


async def test_calls_wait_their_turn_unless_they_cannot(worker: Worker) -> None:
    """Two at once run one after the other; whoever gives `turn_s` is told that the GPU is busy."""
    release = threading.Event()
    order: list[int] = []

    def first() -> None:
        release.wait(30)
        order.append(1)

    one = asyncio.create_task(worker.call(first, deadline_s=30))
    await asyncio.sleep(0.01)
    two = asyncio.create_task(worker.call(lambda: order.append(2), deadline_s=30))
    with pytest.raises(DriverBusy):
        await worker.call(lambda: order.append(3), deadline_s=5, turn_s=0.02)
    release.set()
    await asyncio.gather(one, two)
    assert order == [1, 2]


async def test_a_cancelled_call_is_not_followed_by_another_while_it_runs(worker: Worker) -> None:
    """Shutting down in the middle of a call leaves that call alone."""
    release = threading.Event()
    task = asyncio.create_task(worker.call(lambda: release.wait(30), deadline_s=30))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(DriverSilent):
        await worker.call(lambda: None, deadline_s=5)
    release.set()
