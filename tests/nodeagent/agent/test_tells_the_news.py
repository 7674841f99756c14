"""What happens on a node is told by Events, on the object that it concerns, with the rights that the chart gives."""

import signal
import socket

from tests.support.agenthost import AgentHost, states

GPU_IS_LOST, LIB_RM_VERSION_MISMATCH = 15, 18


async def test_a_gpu_that_goes_and_comes_back(host: AgentHost) -> None:
    """N5: on the Node."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.inject(gpu=0, code=GPU_IS_LOST)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    (lost,) = await host.until_event("Node", "GpuUnavailable")
    assert lost["type"] == "Warning"
    assert host.sim.gpus[0].uuid in lost["note"]
    host.sim.clear_faults()
    (back,) = await host.until_event("Node", "GpuAvailable")
    assert (back["type"], back["note"]) == ("Normal", "can be used again: GPU 0")


async def test_a_driver_that_is_away_and_a_state_folder_that_cannot_be_used(host: AgentHost) -> None:
    """N4, N12: on the Node."""
    host.state_dir.write_text("a file where the folder should be")
    host.sim.inject(function="nvmlInitWithFlags", code=LIB_RM_VERSION_MISMATCH)
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (away,) = await host.until_event("Node", "DriverUnavailable")
    assert "reboot the node" in away["note"]
    (folder,) = await host.until_event("Node", "StateFolderUnusable")
    assert "written down in the MigSpec alone" in folder["note"]
    host.sim.clear_faults()
    await host.until_event("Node", "DriverAvailable")


async def test_instances_that_somebody_else_makes_and_destroys(host: AgentHost) -> None:
    """N6: on the MigSpec."""
    host.start("--resync-s", "0.5")
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    (ours,) = host.sim.gpus[0].instances
    host.sim.create_foreign(0, "3g.40gb", 4)
    (foreign,) = await host.until_event("MigSpec", "ForeignSlice")
    assert "3g.40gb at 4 of GPU 0 was not made by us" in foreign["note"]
    host.sim.destroy(0, ours.id)
    (gone,) = await host.until_event("MigSpec", "SliceVanished")
    assert "1g.10gb at 0 of GPU 0: gone, and not by us" in gone["note"]
    await host.until_free(0, "1g.10gb@0+1")


async def test_a_slice_that_the_driver_does_not_let_go_of(host: AgentHost) -> None:
    """N2: on the MigSpec, once."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.inject(function="nvmlComputeInstanceDestroy", gpu=0, code=19)
    await host.want({0: []})
    await host.until(lambda status: states(status) == {"1g.10gb@0": "ReleaseBlocked"}, "blocked")
    (blocked,) = await host.until_event("MigSpec", "ReleaseBlocked")
    assert "1g.10gb at 0 of GPU 0 cannot be taken away: somebody still computes there" in blocked["note"]


async def test_another_device_plugin_on_the_node(host: AgentHost) -> None:
    """On the Node, with the label that switches it off."""
    path = host.stack.nodes[host.node].node.device_plugin_dir / "nvidia-mig-1g.10gb.sock"
    with socket.socket(socket.AF_UNIX) as rival:
        rival.bind(str(path))
        rival.listen()
        try:
            host.start()
            await host.want({0: []})
            (told,) = await host.until_event("Node", "OtherDevicePlugin")
        finally:
            path.unlink()
    assert "nvidia.com/gpu.deploy.device-plugin=false" in told["note"]


async def test_an_agent_that_leaves_says_so_before_it_is_gone(host: AgentHost) -> None:
    """On the Node; what is queued is written before the process ends."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.kill(signal.SIGTERM)
    (leaves,) = await host.until_event("Node", "AgentLeaving")
    assert leaves["type"] == "Normal"


async def test_a_pod_that_no_webhook_saw(host: AgentHost) -> None:
    """W8: on the Pod and on the MigSpec; here the webhook is off."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("uninvited", "1g.10gb")
    (on_pod,) = await host.until_event("Pod", "MigSliceWithoutClaim")
    assert on_pod["regarding"]["uid"] == uid
    assert "the slice 1g.10gb at 0 of GPU 0" in on_pod["note"]
    await host.until_event("MigSpec", "MigSliceWithoutClaim")
