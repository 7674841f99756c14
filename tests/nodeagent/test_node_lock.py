"""One agent a node (N9)."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nodeagent.lock import node_lock


@pytest.mark.parametrize("writable", [True, False], ids=["file", "no state folder"])
async def test_the_second_agent_waits_until_the_first_has_ended(tmp_path: Path, *, writable: bool) -> None:
    """N9, and N12: also where no file can be made, here since the folder is a file."""
    folder = tmp_path / "state"
    if not writable:
        folder.write_text("")
    waits: list[bool] = []
    waiting, entered = asyncio.Event(), asyncio.Event()

    def on_wait(now: bool) -> None:  # noqa: FBT001  # as the lock calls it
        waits.append(now)
        waiting.set()

    async def second() -> None:
        async with node_lock(folder, f"node-{tmp_path}"[-60:], on_wait=on_wait):
            entered.set()

    async with AsyncExitStack() as first:
        await first.enter_async_context(node_lock(folder, f"node-{tmp_path}"[-60:], on_wait=on_wait))
        task = asyncio.create_task(second())
        async with asyncio.timeout(5):
            await waiting.wait()
        await asyncio.sleep(0.1)
        assert waits == [True]
        assert not entered.is_set()
    async with asyncio.timeout(5):
        await task
    assert waits == [True, False]
