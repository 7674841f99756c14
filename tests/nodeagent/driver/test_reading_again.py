"""A GPU that answers is not given up for one call that failed: its slices are offered on, and it is read again at once."""

from pathlib import Path

import pytest

from nodeagent.gpus.driver import DriverError, GpuUnavailable
from nodeagent.gpus.hardware import READS, Hardware
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.workers import Worker
from nodeagent.state import GpuRecord
from simgpu import SimNode
from tests.support.driverprocess import DriverProcess

GET_INFO = "nvmlGpuInstanceGetInfo"
NOT_FOUND, INSUFFICIENT_SIZE, GPU_IS_LOST, IN_USE, UNKNOWN = 6, 7, 15, 19, 999
GET_LIST = "nvmlDeviceGetGpuInstances"


@pytest.fixture
def hardware(node: SimNode, driver: DriverProcess, tmp_path: Path) -> Hardware:
    """The first GPU, with one instance on it."""
    node.create_foreign(0, "2g.20gb", 2)
    ledger = Ledger(tmp_path / "ledger.json", boot_id="boot")
    return Hardware(record=GpuRecord(0), driver=driver, worker=Worker("test"), ledger=ledger)


@pytest.mark.parametrize("code", [NOT_FOUND, INSUFFICIENT_SIZE, IN_USE, UNKNOWN])
@pytest.mark.parametrize("times", [1, READS - 1])
async def test_what_fails_once_or_twice_is_read_again_at_once(
    node: SimNode, hardware: Hardware, *, code: int, times: int
) -> None:
    """N7: whoever reads learns nothing of it, so nothing is withdrawn."""
    node.inject(function=GET_LIST, gpu=0, code=code, times=times)
    await hardware.read()
    assert [str(item.placed.profile) for item in hardware.record.instances] == ["2g.20gb"]
    assert not node.faults


async def test_what_fails_each_time_is_said(node: SimNode, hardware: Hardware) -> None:
    """The driver is not asked for ever."""
    node.inject(function=GET_INFO, gpu=0, code=UNKNOWN)
    with pytest.raises(DriverError, match=GET_INFO):
        await hardware.read()
    assert node.calls()[GET_INFO] == READS


async def test_a_gpu_that_is_lost_is_said_at_once(node: SimNode, hardware: Hardware) -> None:
    """N5: no container could start on it."""
    node.inject(function=GET_INFO, gpu=0, code=GPU_IS_LOST)
    with pytest.raises(GpuUnavailable):
        await hardware.read()
    assert node.calls()[GET_INFO] == 1
