"""Ports on 127.0.0.1 that stay ours between being chosen and being listened on, and while a server restarts.

A chosen port is held by a lock on a file, which the kernel drops with its holder, so clusters side by side never choose
the same one. They lie below the range that the kernel gives to outgoing connections, so those never take one either. A
foreign program may still grab one; then the server's own log says so.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from cluster.errors import ClusterError

FIRST: Final = 20000
LAST: Final = 32000
"""The kernel's own range begins at 32768 unless an administrator moved it."""


@dataclass(frozen=True)
class PortLease:
    """A port that nobody else chooses before it is released."""

    port: int
    _lock: TextIO

    def release(self) -> None:
        """Let others choose it."""
        self._lock.close()


def lease_port() -> PortLease:
    """Choose a free port."""
    folder = Path(tempfile.gettempdir()) / f"nos-mig-ports-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for port in _candidates():
        lock = (folder / str(port)).open("w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if _is_free(port):
            return PortLease(port, lock)
        lock.close()
    raise ClusterError(f"no port from {FIRST} to {LAST} on 127.0.0.1 is free: end what uses them")


def _candidates() -> Iterator[int]:
    # Owners begin at different places, so that they seldom meet; where is of no importance.
    start = os.getpid() * 31 % (LAST - FIRST)
    for offset in range(LAST - FIRST):
        yield FIRST + (start + offset) % (LAST - FIRST)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
