"""`NvmlDriver` in a process of its own, on a simulated node: driven from a test as if it were called here, and killed at will.

The library is found by the dynamic loader through the environment, which a process reads once when it starts.
"""

import os
import pickle
import subprocess
import sys
from typing import TypeVar

from mig.occupancy import Placed
from nodeagent.values import DriverFacts, Gpu, Instance, Processes
from simgpu import SimNode

T = TypeVar("T")

_SERVER = """
import pickle, sys
from nodeagent.gpus.driver import DriverError
from nodeagent.gpus.nvml import NvmlDriver
from nodeagent.gpus.nvml_calls import Nvml
calls = []
driver = NvmlDriver(Nvml(lambda *call: calls.append(call)))
while True:
    name, args = pickle.load(sys.stdin.buffer)
    try:
        answer = (calls if name == "observed" else getattr(driver, name)(*args)), None
    except DriverError as error:
        answer = None, (type(error), str(error))
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


class DriverProcess:
    """The calls of `Driver`, and what was observed of them."""

    def __init__(self, node: SimNode | None) -> None:
        environment = node.environment() if node else {"LD_LIBRARY_PATH": ""}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )

    def start(self) -> DriverFacts:
        """As `Driver.start`."""
        return self._call(DriverFacts, "start")

    def gpu(self, index: int) -> Gpu:
        """As `Driver.gpu`."""
        return self._call(Gpu, "gpu", index)

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """As `Driver.instances`."""
        return tuple(self._call(tuple, "instances", gpu))

    def create(self, gpu: Gpu, placed: Placed) -> Instance:
        """As `Driver.create`."""
        return self._call(Instance, "create", gpu, placed)

    def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """As `Driver.complete`."""
        return self._call(Instance, "complete", gpu, instance)

    def destroy(self, gpu: Gpu, instance: Instance) -> None:
        """As `Driver.destroy`."""
        self._call(type(None), "destroy", gpu, instance)

    def enable_mig(self, gpu: Gpu) -> str:
        """As `Driver.enable_mig`."""
        return self._call(str, "enable_mig", gpu)

    def processes(self, gpu: Gpu) -> Processes:
        """As `Driver.processes`."""
        return dict(self._call(dict, "processes", gpu))

    def observed(self) -> list[tuple[str, str, float]]:
        """Every call of NVML so far: function, outcome, seconds."""
        return list(self._call(list, "observed"))

    def ask(self, name: str, *args: object) -> None:
        """Make a call and do not wait for its answer."""
        assert self._process.stdin is not None
        pickle.dump((name, args), self._process.stdin)
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _call(self, kind: type[T], name: str, *args: object) -> T:
        self.ask(name, *args)
        assert self._process.stdout is not None
        result, error = pickle.load(self._process.stdout)
        if error is not None:
            error_class, message = error
            raise error_class(message)
        assert isinstance(result, kind)
        return result
