"""The driver lives below another root (`nodeAgent.driverRoot`), as in the GPU operator's driver container."""

from pathlib import Path

from tests.nodeagent.nvidia.conftest import OwnHost
from tests.support.agenthost import AgentHost


def mapped(host: AgentHost) -> set[str]:
    """The versions of the driver's library that the agent has in its memory."""
    assert host.process is not None
    lines = Path(f"/proc/{host.process.pid}/maps").read_text(encoding="utf-8").splitlines()
    return {line.rpartition("libnvidia-ml.so.")[2].removesuffix(" (deleted)") for line in lines if "nvidia-ml" in line}


async def test_the_library_below_the_drivers_root_is_used(own_host: OwnHost) -> None:
    host = own_host.at_driver_root()
    host.start(driver=False)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    assert mapped(host) == {host.sim.driver_version}


async def test_a_driver_container_may_come_up_after_the_agent(own_host: OwnHost) -> None:
    """N4: what is missing is told with the value to set; the folder that appears is found by the same process."""
    host = own_host.at_driver_root()
    not_mounted = host.sim.root.rename(host.folder / "not-mounted-yet")
    host.start(driver=False)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_unready("nodeAgent.driverRoot")
    process = host.process
    not_mounted.rename(host.sim.root)
    await host.until_free(0, "1g.10gb@0+1", within_s=40)
    assert host.process is process


async def test_a_driver_container_may_be_replaced_by_another_version(own_host: OwnHost) -> None:
    """N4: the new library is loaded beside the old one and called instead of it; the slices are made anew on empty GPUs."""
    host = own_host.at_driver_root()
    host.start(driver=False)
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    before = host.sim.driver_version
    host.sim.unload_driver()
    await host.until_unready("load the NVIDIA kernel module")
    host.sim.upgrade_driver("590.44.01")
    status = await host.until(lambda status: status.driver_version == "590.44.01", "the new version", within_s=40)
    assert status.driver_version != before
    await host.until_free(0, "1g.10gb@0+1", within_s=40)
    assert mapped(host) == {before, "590.44.01"}
