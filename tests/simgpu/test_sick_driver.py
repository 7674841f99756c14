"""A driver that is unloaded, loaded again, or does not fit its library: N4, and how a client gets back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simgpu import RefusedError, SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import DRIVER_NOT_LOADED, ID_1G, LIB_RM_VERSION_MISMATCH, Nvml, NvmlError


def test_without_a_driver_nothing_is_answered(a100: SimNode, connect: Connect) -> None:
    """N4: not to a session that is open, not to one that would begin, not to an administrator."""
    a100.create_foreign(0, "1g.10gb", 0)
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.unload_driver()
    for call, *arguments in [
        ("nvmlInit",),
        ("nvmlSystemGetDriverVersion",),
        ("nvmlDeviceGetCount",),
        ("nvmlDeviceGetHandleByIndex", 0),
        ("nvmlDeviceGetUUID", device),
        ("nvmlDeviceGetMigMode", device),
        ("gpu_instances", device, ID_1G),
        ("create_at", device, ID_1G, 0, 1),
    ]:
        assert nvml.fails(DRIVER_NOT_LOADED, str(call), *arguments), call
    newcomer = Nvml(a100.environment(), initialise=False)
    try:
        assert newcomer.fails(DRIVER_NOT_LOADED, "nvmlInit")
        a100.load_driver()
        newcomer.nvmlInit()
    finally:
        newcomer.close()


def test_an_administrator_needs_the_driver_too(a100: SimNode) -> None:
    a100.unload_driver()
    with pytest.raises(RefusedError, match="Driver Not Loaded"):
        a100.create_foreign(0, "1g.10gb", 0)
    a100.mismatch(True)
    a100.load_driver()
    with pytest.raises(RefusedError, match="version mismatch"):
        a100.create_foreign(0, "1g.10gb", 0)
    assert a100.gpus[0].instances == ()


def test_a_session_from_before_a_reload_is_dead_until_it_is_begun_anew(a100: SimNode, connect: Connect) -> None:
    """N4: the process need not end: it shuts NVML down as often as it initialised it, and begins again."""
    nvml = connect(a100)
    nvml.nvmlInit()
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.load_driver()
    assert nvml.fails(DRIVER_NOT_LOADED, "nvmlDeviceGetMigMode", device)
    assert nvml.fails(DRIVER_NOT_LOADED, "nvmlDeviceGetCount")
    nvml.nvmlShutdown()
    assert nvml.fails(DRIVER_NOT_LOADED, "nvmlDeviceGetCount")
    assert nvml.fails(DRIVER_NOT_LOADED, "nvmlInit")
    nvml.nvmlShutdown()
    nvml.nvmlInit()
    assert nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(0)) == [1, 1]


def test_a_reload_takes_the_instances_and_keeps_the_mode(a100: SimNode, connect: Connect) -> None:
    """As on hardware, on every GPU; a mode that waited is in force, the boot is the same."""
    boot, gpu = a100.boot_id, a100.gpus[0].uuid
    a100.create_foreign(0, "3g.40gb", 4)
    a100.load_driver()
    assert a100.gpus[0].instances == ()
    assert a100.gpus[0].mig_mode
    assert (a100.boot_id, a100.gpus[0].uuid) == (boot, gpu)
    assert a100.set_mig_mode(0, False) == 16
    a100.load_driver()
    nvml = connect(a100)
    assert nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(0)) == [0, 0]


def test_a_change_that_waited_for_its_turn_meets_the_unloaded_driver(a100: SimNode, connect: Connect) -> None:
    """Nothing is made on a GPU whose driver went while the call was under way, so nothing is found after a reload."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    with a100._file.quiet(0):
        nvml.send("create_at", device, ID_1G, 0, 1)
        nvml.until_it_waits_for_a_lock()  # hence it is past the door
        a100._file.state.unloaded = 1
    with pytest.raises(NvmlError, match=str(DRIVER_NOT_LOADED)):
        nvml.receive()
    a100.load_driver()
    assert a100.gpus[0].instances == ()


def test_the_drivers_own_files_come_and_go_with_it(a100: SimNode) -> None:
    """`/proc/driver` is the module's; the library and the device nodes are left lying."""
    a100.unload_driver()
    assert not (a100.root / "proc/driver").exists()
    assert (a100.root / "dev/nvidia0").exists()
    assert list(a100.root.glob("usr/lib/*/libnvidia-ml.so.1"))
    a100.load_driver()
    assert (a100.root / "proc/driver/nvidia-caps/mig-minors").exists()


def test_a_library_that_does_not_fit_begins_no_session(a100: SimNode, connect: Connect) -> None:
    """N4: sessions that are open go on with their devices, and hear of it from the system calls."""
    nvml = connect(a100)
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    a100.mismatch(True)
    newcomer = Nvml(a100.environment(), initialise=False)
    try:
        assert newcomer.fails(LIB_RM_VERSION_MISMATCH, "nvmlInit")
        assert nvml.fails(LIB_RM_VERSION_MISMATCH, "nvmlSystemGetDriverVersion")
        assert nvml.nvmlDeviceGetMigMode(device) == [1, 1]
        nvml.create_at(device, ID_1G, 0, 1)
        a100.mismatch(False)
        newcomer.nvmlInit()
        assert newcomer.nvmlSystemGetDriverVersion() == "580.95.05"
    finally:
        newcomer.close()


@pytest.mark.parametrize("mend", [SimNode.reboot, lambda node: node.upgrade_driver("575.57.08")])
def test_a_reboot_or_an_upgrade_loads_a_driver_that_fits(
    mend: Callable[[SimNode], None], a100: SimNode, connect: Connect
) -> None:
    """N8: whatever was wrong with the driver before."""
    a100.mismatch(True)
    a100.unload_driver()
    mend(a100)
    assert connect(a100).nvmlDeviceGetCount() == 1
