"""The driver is missing, unloaded, updated or not for us: told with what to do, and mended without a restart of the agent (N4)."""

import shutil

from mig.migspec import Condition, Status
from tests.support.agenthost import AgentHost, slices, states

NO_PERMISSION = 4
RESYNC = ("--resync-s", "0.5")


def healthy(status: Status) -> Condition:
    """The condition."""
    found = status.condition("Healthy")
    assert found is not None
    return found


async def test_a_driver_that_is_unloaded_and_loaded_again_finds_its_slices_made_anew(host: AgentHost) -> None:
    """N4: the reload has emptied the GPUs; what is wanted is made once more, what a Pod lost is told."""
    host.start(*RESYNC)
    await host.want({0: ["1g.10gb@0+1"], 1: ["3g.40gb@4+4"]})
    await host.until_free(0, "1g.10gb@0+1")
    await host.until_free(1, "3g.40gb@4+4")
    await host.run_pod("computes", "1g.10gb")
    await host.until_phase("computes", "Running")
    process = host.process
    host.sim.unload_driver()
    status = await host.until(lambda status: healthy(status).reason == "DriverUnavailable", "no driver")
    assert "load the NVIDIA kernel module" in healthy(status).message
    assert set(states(status)) == {"1g.10gb@0", "3g.40gb@4"}
    assert (await host.get("/healthz"))[0] == 200
    await host.until_unready("load the NVIDIA kernel module")
    host.sim.reset_calls()
    host.sim.load_driver()
    status = await host.until(
        lambda status: healthy(status).status == "True" and states(status)["3g.40gb@4"] == "Free", "all is well again"
    )
    assert "Pod default/computes used it, and cannot go on with it" in slices(status, host.sim.gpus[0].uuid)[0].message
    assert host.hardware(0) == {("1g.10gb", 0, True)}
    assert host.hardware(1) == {("3g.40gb", 4, True)}
    assert host.sim.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"] == 2
    assert "nvmlGpuInstanceDestroy" not in host.sim.calls()
    assert process is host.process
    assert process is not None
    assert process.poll() is None


async def test_an_update_of_the_driver_under_a_loaded_module(host: AgentHost) -> None:
    """N4: open sessions go on; a new one is refused until module and library fit again, here by a reload."""
    host.start(*RESYNC)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.mismatch(True)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    host.sim.load_driver()
    status = await host.until(lambda status: "reboot the node" in healthy(status).message, "versions differ")
    assert healthy(status).reason == "DriverUnavailable"
    host.sim.upgrade_driver("590.10")
    host.sim.mismatch(False)
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    assert (await host.migspec()).status is not None
    status = await host.until(lambda _: True, "a report")
    assert status.driver_version == "590.10"


async def test_a_library_that_is_installed_later_is_found(host: AgentHost) -> None:
    """N4: in the folder of a driver container, which comes up after the agent."""
    (library,) = host.sim.root.glob("usr/lib/*/libnvidia-ml.so.1")
    installed = library.resolve()
    away = host.folder / "away"
    shutil.move(installed, away)
    host.environment["SIMGPU_STATE"] = str(host.sim.directory)
    host.start("--driver-root", str(host.sim.root), driver=False)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_unready("install the NVIDIA driver")
    shutil.move(away, installed)
    await host.until_free(0, "1g.10gb@0+1")


async def test_a_driver_that_does_not_let_us_change_anything(host: AgentHost) -> None:
    """N4: what exists goes on to be offered; what cannot be made says which right is missing; given the right it is made."""
    host.start(*RESYNC)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", code=NO_PERMISSION)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    status = await host.until(lambda status: healthy(status).reason == "NoPermission", "no permission")
    assert "the agent needs CAP_SYS_ADMIN or the MIG capability files" in healthy(status).message
    assert states(status) == {"1g.10gb@0": "Free", "1g.10gb@1": "Failed"}
    assert status.gpus[0].trouble == ""
    host.sim.clear_faults()
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    assert healthy(await host.until(lambda _: True, "a report")).status == "True"
