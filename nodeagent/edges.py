"""Where the agent's process changes what outlives it: the API server, the driver, and two files (ledger, CDI description).

They come in through one value, so that a test can count every step that is taken there and end the process at any of them; the
process itself runs unchanged. This module decides nothing: the defaults are the real edges.
"""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from kube.client import Api
from nodeagent.gpus.nvml_calls import Nvml, Observe

COMPONENT: Final = "nos-mig-nodeagent"


def user_agent() -> str:
    """How the process names itself to the API server."""
    return f"{COMPONENT}/{version('nos-mig')}"


def connect(kubeconfig: Path | None) -> AbstractAsyncContextManager[Api]:
    """The API server of a kubeconfig, or of the Pod that the process runs in."""
    return Api.connect(kubeconfig, user_agent=user_agent())


@dataclass(frozen=True, slots=True)
class Edges:
    """What the process is made with. `replace` puts a finished file in the place of an older one, atomically.

    What is not here ends with the process or is made again at any time: its sockets, and unlinking an empty description.
    """

    connect: Callable[[Path | None], AbstractAsyncContextManager[Api]] = connect
    nvml: Callable[[Observe], Nvml] = Nvml
    replace: Callable[[Path, Path], object] = os.replace


REAL: Final = Edges()
