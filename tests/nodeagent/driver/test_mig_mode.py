"""MIG mode is turned on only where that takes no reset and nobody is there; a refusal leaves nothing behind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mig.migspec import MigMode
from nodeagent.gpus.driver import InUse, Refused
from simgpu import SimNode
from tests.support.driverprocess import DriverProcess

Start = Callable[[SimNode | None], DriverProcess]
NOT_SUPPORTED, NO_PERMISSION, RESET_REQUIRED = 3, 4, 16


def node(tmp_path: Path, model: str) -> SimNode:
    """One GPU, its MIG mode off."""
    return SimNode.create(tmp_path / "node", gpus=[model], mig_enabled=False)


def driver_on(sim: SimNode, start: Start) -> DriverProcess:
    """A driver with an open session."""
    driver = start(sim)
    driver.start()
    return driver


@pytest.mark.parametrize("model", ["h100-80gb", "b200-180gb"])
def test_it_is_in_force_at_once_on_hopper_and_newer(tmp_path: Path, start: Start, model: str) -> None:
    """And the GPU's shape is known from then on, in the same session."""
    driver = driver_on(node(tmp_path, model), start)
    assert driver.enable_mig(driver.gpu(0)) == ""
    gpu = driver.gpu(0)
    assert gpu.mig_mode is MigMode.ENABLED
    assert gpu.shape.offers


@pytest.mark.parametrize("model", ["a100-80gb", "a30-24gb"])
def test_ampere_needs_a_reset_so_the_driver_is_not_even_asked(tmp_path: Path, start: Start, model: str) -> None:
    """No wish stays behind that would come true by surprise; the refusal names the two commands."""
    sim = node(tmp_path, model)
    driver = driver_on(sim, start)
    with pytest.raises(Refused, match="nvidia-smi -i 0 -mig 1, then nvidia-smi --gpu-reset -i 0"):
        driver.enable_mig(driver.gpu(0))
    assert driver.gpu(0).mig_mode is MigMode.DISABLED
    assert "nvmlDeviceSetMigMode" not in sim.calls()


def test_a_process_on_the_gpu_is_not_disturbed(tmp_path: Path, start: Start) -> None:
    """It is named, and when it has ended the mode is turned on."""
    sim = node(tmp_path, "h100-80gb")
    driver = driver_on(sim, start)
    sim.hold(sim.gpus[0].uuid, os.getpid())
    with pytest.raises(InUse, match=f"processes {os.getpid()} use this GPU"):
        driver.enable_mig(driver.gpu(0))
    assert "nvmlDeviceSetMigMode" not in sim.calls()
    sim.release(os.getpid())
    assert driver.enable_mig(driver.gpu(0)) == ""


def test_who_uses_it_must_be_known(tmp_path: Path, start: Start) -> None:
    """Unknown is not empty: a driver without that list is not asked to turn anything on."""
    sim = node(tmp_path, "h100-80gb")
    driver = driver_on(sim, start)
    sim.inject(function="nvmlDeviceGetComputeRunningProcesses_v3", code=NOT_SUPPORTED)
    with pytest.raises(Refused, match="who uses this GPU is not known"):
        driver.enable_mig(driver.gpu(0))
    assert "nvmlDeviceSetMigMode" not in sim.calls()


def test_a_driver_that_refuses_says_why(tmp_path: Path, start: Start) -> None:
    """With what to do."""
    sim = node(tmp_path, "h100-80gb")
    driver = driver_on(sim, start)
    sim.inject(function="nvmlDeviceSetMigMode", code=NO_PERMISSION)
    with pytest.raises(Refused, match="CAP_SYS_ADMIN"):
        driver.enable_mig(driver.gpu(0))
