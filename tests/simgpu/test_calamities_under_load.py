"""Whatever befalls a node while a client makes and destroys instances at full speed, the hardware stays whole."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import (
    DRIVER_NOT_LOADED,
    GPU_IS_LOST,
    ID_1G,
    IN_USE,
    NOT_FOUND,
    RESET_REQUIRED,
    Nvml,
    NvmlError,
)

ROUNDS = 6
SEED = 20260102


def lose_and_reset(node: SimNode) -> None:
    node.lose(0)
    node.reset(0)


def need_a_reset_and_get_it(node: SimNode) -> None:
    node.require_reset(0)
    node.reset(0)


CALAMITIES: dict[str, Callable[[SimNode], None]] = {
    "reset": lambda node: node.reset(0),
    "reboot": SimNode.reboot,
    "swap": lambda node: node.swap(0),
    "reload": SimNode.load_driver,
    "upgrade": lambda node: node.upgrade_driver("575.57.08"),
    "lost": lose_and_reset,
    "reset required": need_a_reset_and_get_it,
}


def begin(nvml: Nvml, node: SimNode, seed: int) -> None:
    """Let the client change instances without an end, and wait until it is at it."""
    node.reset_calls()
    nvml.send("churn", nvml.nvmlDeviceGetHandleByIndex(0), seed)
    while "nvmlGpuInstanceDestroy" not in node.calls() and not nvml.answered():
        time.sleep(0.001)


def ending(nvml: Nvml) -> int:
    """The code that ended the client's work."""
    try:
        nvml.receive()
    except NvmlError as error:
        return error.code
    raise AssertionError("the client ended its work by itself")


@pytest.mark.parametrize("calamity", CALAMITIES)
def test_a_client_in_mid_change_hears_of_it_and_leaves_nothing_torn(
    calamity: str, h100: SimNode, connect: Connect
) -> None:
    """N1, N4, N5, S6: no two instances overlap, whenever one looks; a session begun anew finds the GPU empty and whole."""
    rng = random.Random(SEED)
    nvml = connect(h100)
    for _ in range(ROUNDS):
        begin(nvml, h100, rng.randrange(1000))
        time.sleep(rng.uniform(0, 0.003))
        CALAMITIES[calamity](h100)
        places = sorted((gi.start, gi.start + gi.size) for gi in h100.gpus[0].instances)
        assert all(end <= start for (_, end), (start, _) in pairwise(places))
        h100.load_driver()  # whoever had nothing on the GPU at that moment, and so heard nothing, hears of this
        assert ending(nvml) in {NOT_FOUND, IN_USE, DRIVER_NOT_LOADED, GPU_IS_LOST, RESET_REQUIRED}
        nvml.nvmlShutdown()
        nvml.nvmlInit()
        device = nvml.nvmlDeviceGetHandleByIndex(0)
        assert nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(device, ID_1G) == 7
        assert h100.gpus[0].instances == ()
