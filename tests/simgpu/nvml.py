"""One client process of a simulated node, driven from a test as if pynvml were called here."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DRIVER_NOT_LOADED = 9
GPU_IS_LOST = 15
IN_USE = 19
INSUFFICIENT_RESOURCES = 23
INVALID_ARGUMENT = 2
LIB_RM_VERSION_MISMATCH = 18
NOT_FOUND = 6
NOT_SUPPORTED = 3
RESET_REQUIRED = 16
UNINITIALIZED = 1

# A 3g, 2g and 1g profile have these ids on every 7-slice card, and need these compute-instance profiles.
ID_1G, ID_1G_ME, ID_1G_DOUBLE, ID_2G, ID_3G, ID_4G, ID_7G = 19, 20, 15, 14, 9, 5, 0
CI_1, CI_2, CI_3, CI_4, CI_7 = range(5)


class NvmlError(Exception):
    """What pynvml raised over there; `code` is the nvmlReturn_t."""

    def __init__(self, code: int) -> None:
        super().__init__(f"NVML error {code}")
        self.code = code


class Nvml:
    """Any attribute is a pynvml function, or one of the extras of `nvml_server.py`, called in the other process."""

    def __init__(self, environment: dict[str, str], *, initialise: bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nvml_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        if initialise:
            self.nvmlInit()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.send(name, *args, **named)
            return self.receive()

        return call

    def send(self, name: str, *args: Any, **named: Any) -> None:
        """Ask for a call and do not wait; `receive` gives the answers in the order of asking."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"call": name, "args": args, "named": named}) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        """Wait for the next answer; raises NvmlError."""
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise NvmlError(answer["error"])
        return answer["result"]

    def answered(self) -> bool:
        """Return whether an answer waits for `receive`."""
        assert self.process.stdout is not None
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def fails(self, code: int, name: str, *args: Any, **named: Any) -> bool:
        """Return whether the call raises exactly this code."""
        return self.code(name, *args, **named) == code

    def code(self, name: str, *args: Any, **named: Any) -> int:
        """Call, and return the nvmlReturn_t instead of the result."""
        try:
            getattr(self, name)(*args, **named)
        except NvmlError as error:
            return error.code
        return 0

    def until_it_waits_for_a_lock(self) -> None:
        """Wait until the process stands before one of the node's locks, which somebody else holds."""
        pid, give_up = str(self.process.pid), time.monotonic() + 20
        while not any("->" in words and pid in words for words in map(str.split, _locks())):
            assert time.monotonic() < give_up, "it waits for no lock"
            time.sleep(0.001)

    def kill(self) -> None:
        """SIGKILL, at whatever instruction it is."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process and its pipes, whatever state it is in."""
        self.process.kill()
        self.process.communicate()


def _locks() -> list[str]:
    """The kernel's list of file locks; a line with an arrow is of a process that waits."""
    return Path("/proc/locks").read_text(encoding="ascii").splitlines()
