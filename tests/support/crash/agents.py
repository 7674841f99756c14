"""Starting agents from the fork server and waiting for their end."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from simgpu import SimNode
from tests.support.crash.steps import ARMED, Plan

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class AgentProcess:
    """One agent. `pidfd` means this very process, also after its pid was given to another."""

    pid: int
    pidfd: int
    plan: Plan
    log: Path

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return bool(select.select([self.pidfd], [], [], 0)[0])

    async def ended(self) -> None:
        """Return once it has ended, however."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.pidfd, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(self.pidfd)

    async def kill(self) -> None:
        """End it, if it lives, and wait until it has."""
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return
        await self.ended()

    def close(self) -> None:
        """Forget it."""
        os.close(self.pidfd)

    def arm(self, die_at: str = "") -> None:
        """From now on its steps count, and it dies at that one (empty: at none). Once in its life."""
        fresh = self.plan.arming.with_suffix(".new")
        fresh.write_text(die_at)
        fresh.replace(self.plan.arming)

    def steps(self) -> list[str]:
        """The addresses of the steps that it has gone by since it was armed, in order."""
        steps = self.all_steps()
        return steps[steps.index(ARMED) + 1 :] if ARMED in steps else []

    def all_steps(self) -> list[str]:
        """Those before, too."""
        return self.plan.trace.read_text().splitlines() if self.plan.trace.exists() else []


class ForkServer:
    """The client's side of `forkserver`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def start(cls, sim: SimNode) -> Self:
        """Start one. The loader's path to the simulated library, the same for every node, comes from any of them."""
        path = {"LD_LIBRARY_PATH": sim.environment()["LD_LIBRARY_PATH"], "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "tests.support.crash.forkserver"]
        return cls(
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **path})
        )

    def spawn(self, arguments: Sequence[str], *, environment: Mapping[str, str], plan: Plan, log: Path) -> AgentProcess:
        """Start an agent with these command line arguments. Blocks for the milliseconds of a fork."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "trace": str(plan.trace),
            "arming": str(plan.arming),
            "log": str(log),
        }
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        return AgentProcess(pid, os.pidfd_open(pid), plan, log)

    def stop(self) -> None:
        """End it, and with it all its agents."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()
