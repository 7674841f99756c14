"""Whose a cluster's folder is, and clearing away what a dead owner left.

An owner holds a lock on a file in its folder, which the kernel drops when it dies, in whatever way. A folder that can be locked
has no owner any more: its noted processes are ended (most died with the owner already) and it is removed. Only folders that
carry this mark are ever touched.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from cluster import processes

MARK: Final = "nos-mig-cluster.lock"
NOTES: Final = "pids"


def claim(directory: Path) -> TextIO:
    """Become the owner of a new folder until the returned file is closed."""
    aside = directory / f".{MARK}"
    mark = aside.open("x", encoding="ascii")
    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    aside.rename(directory / MARK)  # nobody ever sees the mark without its lock
    return mark


def clean_stale(parent: Path, *, prefix: str) -> list[Path]:
    """End and remove what dead owners left in `parent` under names with that prefix; returns the folders removed."""
    removed = []
    for mark in parent.glob(f"{prefix}-*/{MARK}"):
        directory = mark.parent
        try:
            if mark.stat().st_uid != os.geteuid():
                continue
            with mark.open("r+", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                processes.end_recorded(directory / NOTES)
                remove_tree(directory)
        except (BlockingIOError, FileNotFoundError):  # its owner lives, or somebody else clears it away just now
            continue
        removed.append(directory)
    return removed


def remove_tree(directory: Path) -> None:
    """Remove a folder whole, also where a kubelet left something without write permission in it."""

    def retry(function: Callable[..., Any], path: str, _: object) -> None:
        Path(path).parent.chmod(0o700)
        Path(path).chmod(0o700)
        function(path)

    shutil.rmtree(directory, onerror=retry)
