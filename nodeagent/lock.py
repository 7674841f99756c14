"""One agent a node: the second waits.

The lock is an flock on a file in the state folder; where no file can be made there, on the folder itself, which a read-only
mount allows too. Only where there is no folder at all is it a name in the kernel's abstract socket space, which is one per
network namespace: such agents see each other on the host's network only. All end with the process, however it dies. Agents
of which only one can write the folder would not see each other; they run from one DaemonSet, so they see the same folder.
"""

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

POLL_S: Final = 0.5


class Held(Exception):
    """Another agent holds the lock."""


@asynccontextmanager
async def node_lock(state_dir: Path, node_name: str, *, on_wait: Callable[[bool], None]) -> AsyncIterator[None]:
    """Hold the node's lock while the block runs. `on_wait` is told when waiting begins and when it ends."""
    waiting = False
    while True:
        try:
            held = _take(state_dir, node_name)
            break
        except Held:
            if not waiting:
                waiting = True
                on_wait(True)
                log.warning("another agent runs on this node; waiting for it to end", extra={"node": node_name})
            await asyncio.sleep(POLL_S)
    if waiting:
        on_wait(False)
    with held:
        yield


def _take(state_dir: Path, node_name: str) -> AbstractContextManager[object]:
    """Take the lock or raise `Held`; closing what is returned gives it back."""
    with ExitStack() as stack:
        try:
            descriptor = _open(state_dir)
        except OSError as error:
            log.info("the lock is taken without a folder: %s", error)
            return _take_name(node_name)
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Held from error
        return stack.pop_all()


def _open(state_dir: Path) -> int:
    """The lock's file in the folder, or the folder, where no file can be made in it. Raises `OSError` where there is none."""
    with suppress(OSError):
        state_dir.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(state_dir / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        log.info("the lock is taken on the folder: %s", error)
        return os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _take_name(node_name: str) -> AbstractContextManager[object]:
    name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        name.bind(f"\0nos-mig-nodeagent-{node_name}"[:107])
    except OSError as error:
        name.close()
        raise Held from error
    return name
