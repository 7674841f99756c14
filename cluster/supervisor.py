"""Child processes that are started again when they die, and that die when we do.

Each child has one thread that starts it, waits for it and starts it again; that thread lives as long as the child is
wanted, since the kernel ends a child with the thread that started it (see `cluster/launch.py`). A child leads a session of
its own, so that Ctrl-C at a terminal reaches only us and we choose the order of the end. What a child's process leaves in its
group is killed with it. Nothing here looks at what a child does or whether it is ready.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cluster import processes
from cluster.errors import StartError
from cluster.isolation import Isolation, launch_argv

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 1.5
"""With the time that a start takes, a dead child is back within 2 s."""
STEADY_S: Final = 10.0
"""A child that ran this long has earned the first delay again."""
STOP_TIMEOUT_S: Final = 10.0


class Child:
    """One wanted program: a process at a time, and what becomes of it."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None,
        log: Path,
        restart: bool,
        isolation: Isolation | None,
        notes: Path,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = launch_argv(list(argv), isolation=isolation)
        self._env = None if env is None else dict(env)
        self._restart = restart
        self._notes = notes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._starts = 0
        self._returncode: int | None = None
        self._wanted = True
        self._change = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"child {name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process of now; None between two lives and after the last."""
        process = self._process
        return None if process is None else process.pid

    @property
    def starts(self) -> int:
        """How often a process was started for this child."""
        return self._starts

    @property
    def returncode(self) -> int | None:
        """How the last process ended, as subprocess tells it; None if none has."""
        return self._returncode

    @property
    def finished(self) -> bool:
        """No process is left and none will come."""
        return not self._thread.is_alive()

    def begin(self) -> None:
        """Start the first process; raises StartError if the machine has none to give."""
        self._thread.start()
        self._begun.wait()
        if self._failure is not None:
            raise StartError(f"cannot start {self.name}: {self._failure}") from self._failure

    def kill(self, sig: signal.Signals) -> None:
        """Send a signal to the process of now, if there is one; if it dies of it, it is started again."""
        with self._lock:  # so that it is not reaped, and its pid not reused, meanwhile
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, sig)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for a child that is not started again; returns its return code, or None when time is up."""
        self._thread.join(timeout)
        return self._returncode if self.finished else None

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """End it for good: SIGTERM, and after `timeout` seconds SIGKILL. Returns when it is gone."""
        self.request_stop()
        self._thread.join(timeout)
        if not self.finished:
            self.kill(signal.SIGKILL)
            self._thread.join()

    def request_stop(self) -> None:
        """Send SIGTERM, once, and start it no more; returns at once. A second one would cut its clean-up short."""
        if self._wanted:
            self._wanted = False
            self._change.set()
            self.kill(signal.SIGTERM)

    def _run(self) -> None:
        delay = FIRST_DELAY_S
        while self._wanted:
            began = time.monotonic()
            try:
                self._live()
            except OSError as error:
                self._failure = error
                self._begun.set()
                return
            if not self._restart:
                return
            delay = FIRST_DELAY_S if time.monotonic() - began >= STEADY_S else delay
            self._change.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)

    def _live(self) -> None:
        """One process from its start to its end."""
        with self._lock:
            if not self._wanted:
                return
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, start_new_session=True
                )
            self._process = process
            self._starts += 1
        processes.record(self._notes, process.pid)
        self._begun.set()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            # Not yet reaped, so its group is still its own: nothing that it started outlives it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            self._process = None
            self._returncode = process.wait()
        processes.forget(self._notes, process.pid)


class Supervisor:
    """All children of one owner; their pids are noted in a folder for whoever comes after a crash."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._children: list[Child] = []

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path,
        restart: bool = True,
        isolation: Isolation | None = None,
    ) -> Child:
        """Start a program, its output appended to `log`; `env` is the whole environment, None means our own."""
        log.parent.mkdir(parents=True, exist_ok=True)
        child = Child(name, argv, env=env, log=log, restart=restart, isolation=isolation, notes=self._notes)
        child.begin()
        self._children.append(child)
        return child

    @property
    def children(self) -> tuple[Child, ...]:
        """Those that run or will run again, in the order of their start."""
        self._children = [child for child in self._children if not child.finished]
        return tuple(self._children)

    def stop_all(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Stop every child, all at the same time; returns when all are gone."""
        children = self.children
        for child in children:
            child.request_stop()
        deadline = time.monotonic() + timeout
        for child in children:
            child.stop(max(0.0, deadline - time.monotonic()))
        self._children.clear()
