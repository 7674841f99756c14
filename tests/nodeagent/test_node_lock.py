"""One agent a node (N9)."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nodeagent.lock import node_lock

Folder = Callable[[Path], object]


def _nothing_yet(_folder: Path) -> None:
    """The agent makes it."""


def _no_file_possible(folder: Path) -> None:
    """As where it cannot be written, for root too: what stands in the file's place cannot be opened to write."""
    (folder / "agent.lock").mkdir(parents=True)


def _no_folder(folder: Path) -> None:
    """A file has its name."""
    folder.write_text("")


@pytest.mark.parametrize("prepare", [_nothing_yet, _no_file_possible, _no_folder], ids=["file", "folder", "no folder"])
async def test_the_second_agent_waits_until_the_first_has_ended(tmp_path: Path, prepare: Folder) -> None:
    """N9, and N12: also where no file can be made in the state folder, or there is none."""
    folder = tmp_path / "state"
    prepare(folder)
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


async def test_agents_in_two_pods_meet_in_a_folder_that_neither_can_write(tmp_path: Path) -> None:
    """N9 with N12: each Pod has a network of its own, so no name in it can be what they meet by; the folder is one."""
    folder = tmp_path / "state"
    _no_file_possible(folder)
    async with asyncio.timeout(10), node_lock(folder, "node-seen-by-one", on_wait=lambda _: None):
        waiting = asyncio.Event()

        async def other() -> None:
            async with node_lock(folder, "node-seen-by-the-other", on_wait=lambda _: waiting.set()):
                raise AssertionError("two agents at once")

        task = asyncio.create_task(other())
        await waiting.wait()
        task.cancel()
