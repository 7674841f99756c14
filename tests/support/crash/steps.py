"""The agent's edges, with every step counted and named, and the process killed by its own SIGKILL at a chosen one.

Steps are: before each call of NVML, and after each that changes hardware; before the rename that makes a new file of the ledger or
of the CDI description the file, and after it; before a write to the API server is sent, and after it was answered. (After a call
that only reads, the world is what it is before the next step.) They are counted by name, and those of NVML by the thread that makes
the calls, one a GPU, so the address of a step does not depend on what others do meanwhile.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kube.client import Api
from kube.credentials import Credentials, load
from kube.transport import JsonObject, Request, Transport
from nodeagent.edges import Edges, user_agent
from nodeagent.gpus.nvml_calls import Nvml, Observe

CHANGING = ("Create", "Destroy", "SetMigMode")
"""What the names of NVML's changing functions contain."""

ARMED = "armed"
"""The line between the steps that were made before arming and those that are counted."""


@dataclass(frozen=True)
class Plan:
    """Where steps are written down, and the file that arms: once it is there they count, and it holds the address to die at."""

    trace: Path
    arming: Path


class Steps:
    """The counter of one process; thread-safe. While one step kills, no other goes by."""

    def __init__(self, plan: Plan) -> None:
        self._arming = plan.arming
        self._trace = os.open(plan.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._counts: Counter[str] = Counter()
        self._turn = threading.Lock()
        self._die_at: str | None = None

    def step(self, name: str) -> None:
        """Go by one step, or die there. It is written down before."""
        with self._turn:
            if self._die_at is None and self._arming.exists():
                self._die_at = self._arming.read_text()
                self._counts.clear()
                os.write(self._trace, f"{ARMED}\n".encode())
            self._counts[name] += 1
            address = f"{name} #{self._counts[name]}"
            os.write(self._trace, f"{address}\n".encode())
            if address == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)


class SteppingNvml(Nvml):
    """NVML, step by step."""

    def __init__(self, observe: Observe, steps: Steps) -> None:
        super().__init__(observe)
        self._steps = steps

    def call(self, function: str, *args: Any) -> Any:
        """As `Nvml.call`."""
        name = f"{threading.current_thread().name}: {function}"
        self._steps.step(f"before {name}")
        try:
            return super().call(function, *args)
        finally:
            if any(word in function for word in CHANGING):
                self._steps.step(f"after {name}")


class SteppingTransport(Transport):
    """The way to the API server, with a step on each side of a write."""

    def __init__(self, credentials: Credentials, steps: Steps) -> None:
        super().__init__(credentials, user_agent=user_agent())
        self._steps = steps

    async def call(self, request: Request, *, timeout_s: float) -> JsonObject:
        """As `Transport.call`."""
        if request.method == "GET":
            return await super().call(request, timeout_s=timeout_s)
        self._steps.step(f"before {_name(request)}")
        try:
            return await super().call(request, timeout_s=timeout_s)
        finally:
            self._steps.step(f"after {_name(request)}")


def _name(request: Request) -> str:
    """`PATCH migspecs NAME status`, without the node's name, since each run has a node of its own."""
    parts = request.path.strip("/").split("/")
    collections = ("migspecs", "nodes", "events", "pods")
    what = [part for part in parts if part in collections or part == "status"]
    return f"{request.method} {' '.join(what) or request.path}"


def counted(plan: Plan) -> Edges:
    """Edges for `nodeagent.main.run` that go by the plan."""
    steps = Steps(plan)

    @asynccontextmanager
    async def connected(kubeconfig: Path | None) -> AsyncIterator[Api]:
        transport = SteppingTransport(await load(kubeconfig), steps)
        try:
            yield Api(transport)
        finally:
            await transport.close()

    def connect(kubeconfig: Path | None) -> AbstractAsyncContextManager[Api]:
        return connected(kubeconfig)

    def replace(fresh: Path, path: Path) -> None:
        whose = "ledger" if path.name == "ledger.json" else "description"
        steps.step(f"before the {whose}'s rename")
        fresh.replace(path)
        steps.step(f"after the {whose}'s rename")

    nvml: Callable[[Observe], Nvml] = lambda observe: SteppingNvml(observe, steps)  # noqa: E731
    return Edges(connect=connect, nvml=nvml, replace=replace)
