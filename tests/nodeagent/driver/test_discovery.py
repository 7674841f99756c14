"""Discovery: what the driver offers is taken from the driver, for every model; GPUs without MIG are told apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mig.migspec import MigMode
from nodeagent.gpus.driver import DriverUnavailable, GpuUnavailable
from simgpu import SimNode
from tests.support.driverprocess import DriverProcess
from tests.support.shapes import shapes

Start = Callable[[SimNode | None], DriverProcess]
GPU_IS_LOST, LIB_RM_VERSION_MISMATCH, DRIVER_NOT_LOADED = 15, 18, 9


def test_every_model_is_discovered_exactly(tmp_path: Path, start: Start) -> None:
    """Grid, profile ids, sizes, starts and counts of all models are those of the collected facts, by iterating alone."""
    models = sorted(shapes())
    node = SimNode.create(tmp_path / "node", gpus=models)
    driver = start(node)
    assert driver.start().gpu_count == len(models)
    for index, model in enumerate(models):
        gpu = driver.gpu(index)
        assert (gpu.index, gpu.uuid, gpu.mig_mode) == (index, node.gpus[index].uuid, MigMode.ENABLED)
        assert gpu.shape.width == shapes()[model].width
        assert {(o.profile, o.profile_id, o.size, o.starts, o.max_instances) for o in gpu.shape.offers} == {
            (o.profile, o.profile_id, o.size, o.starts, o.max_instances) for o in shapes()[model].offers
        }
        assert all(offer.memory_mib > 0 and offer.engines["copy"] > 0 for offer in gpu.shape.offers)


@pytest.mark.parametrize("enabled", [True, False])
def test_mig_mode_is_told_apart(tmp_path: Path, start: Start, *, enabled: bool) -> None:
    """N5: on, off, waiting for a reset; a GPU whose MIG is off has no shape and is not asked for one."""
    node = SimNode.create(tmp_path / "node", gpus=["a100-80gb"], mig_enabled=enabled)
    driver = start(node)
    driver.start()
    assert driver.gpu(0).mig_mode is (MigMode.ENABLED if enabled else MigMode.DISABLED)
    assert bool(driver.gpu(0).shape.offers) == enabled
    node.set_mig_mode(0, not enabled)
    gpu = driver.gpu(0)
    assert gpu.mig_mode is MigMode.PENDING_RESET
    assert bool(gpu.shape.offers) == enabled
    assert driver.instances(gpu) == ()


def test_instances_that_wait_for_a_reset_are_still_seen(node: SimNode, driver: DriverProcess) -> None:
    """They exist and may be in use until the GPU is reset."""
    node.create_foreign(0, "3g.40gb", 4)
    node.set_mig_mode(0, False)
    gpu = driver.gpu(0)
    assert gpu.mig_mode is MigMode.PENDING_RESET
    assert [str(item.placed.profile) for item in driver.instances(gpu)] == ["3g.40gb"]


def test_a_missing_library_is_told_and_does_not_last(start: Start) -> None:
    """N4: with what to do."""
    driver = start(None)
    for _ in range(2):
        with pytest.raises(DriverUnavailable, match="install the NVIDIA driver"):
            driver.start()


@pytest.mark.parametrize("code", [DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH])
def test_a_driver_that_cannot_be_used_recovers_when_it_can(node: SimNode, start: Start, code: int) -> None:
    """N4: in the same process, by starting again."""
    node.inject(function="nvmlInitWithFlags", code=code)
    driver = start(node)
    with pytest.raises(DriverUnavailable, match="nvmlInit"):
        driver.start()
    node.clear_faults()
    assert driver.start().gpu_count == 2
    assert driver.gpu(1).index == 1


def test_a_session_is_opened_anew_after_trouble(driver: DriverProcess) -> None:
    """Handles of the old one are not used again."""
    before = driver.gpu(0)
    driver.start()
    assert driver.gpu(0) == before


def test_one_gpu_that_is_lost_does_not_hide_the_other(node: SimNode, driver: DriverProcess) -> None:
    """N5: it says so, and answers again when it is back."""
    node.inject(gpu=0, code=GPU_IS_LOST)
    with pytest.raises(GpuUnavailable, match="fell off the bus"):
        driver.gpu(0)
    assert driver.gpu(1).uuid == node.gpus[1].uuid
    node.clear_faults()
    assert driver.gpu(0).uuid == node.gpus[0].uuid
