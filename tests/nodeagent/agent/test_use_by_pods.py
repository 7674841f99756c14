"""Slices that Pods use: who holds them is told, they are never taken away, and they come free soon after."""

import os
import time

from mig.migspec import Holder, SliceState, Status
from nodeagent.use.looker import LATER_S
from tests.support.agenthost import AgentHost, container, slices, states


async def test_a_pod_sees_its_slice_and_the_report_names_the_pod(host: AgentHost) -> None:
    """From Allocate on it is Used; when the Pod has ended it is Free again without a call that changes hardware."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (free,) = await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("sees", "1g.10gb", "sleep", "2")
    status = await host.until(lambda status: states(status)["1g.10gb@0"] == "Used", "used")
    await host.until_phase("sees", "Running")
    assert host.devices_of("sees") == free.uuid
    status = await host.until(
        lambda status: slices(status, host.sim.gpus[0].uuid)[0].holder == Holder("default", "sees", uid, "main"),
        "its holder by name, uid and container",
    )
    host.sim.reset_calls()
    await host.until_phase("sees", "Succeeded")
    ended = time.monotonic()
    await host.until_free(0, "1g.10gb@0+1")
    assert time.monotonic() - ended < LATER_S  # nobody waited for the next look that is due anyway
    assert not {name for name in host.sim.calls() if "Create" in name or "Destroy" in name}
    assert status.observed_generation == 1


async def test_a_used_slice_outlives_its_spec_and_goes_with_its_pod(host: AgentHost) -> None:
    """Invariant 2."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    await host.run_pod("stays", "1g.10gb")
    await host.until_phase("stays", "Running")
    mine = host.devices_of("stays")
    await host.want({0: []})
    status = await host.until(
        lambda status: list(states(status).values()) == ["Used"], "the free one goes, the used one stays"
    )
    assert slices(status, host.sim.gpus[0].uuid)[0].uuid == mine
    converged = status.condition("Converged")
    assert converged is not None
    assert converged.reason == "Blocked"
    await host.delete_pod("stays")
    await host.until_free(0)
    assert host.hardware(0) == set()


async def test_a_force_deleted_pods_slice_stays_while_its_processes_compute(host: AgentHost) -> None:
    """S9: the kubelet is silent at once; the driver's process list is not."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (free,) = await host.until_free(0, "1g.10gb@0+1")
    await host.run_pod("forced", "1g.10gb")
    await host.until_phase("forced", "Running")
    host.sim.hold(free.uuid, os.getpid())
    await host.delete_pod("forced", grace_s=0)
    await host.want({0: []})
    status = await host.until(
        lambda status: any("still compute there" in item.message for item in slices(status, host.sim.gpus[0].uuid)),
        "used by a process alone",
    )
    assert states(status) == {"1g.10gb@0": "Used"}
    host.sim.release(os.getpid())
    await host.until_free(0)


async def test_a_slice_that_the_driver_does_not_let_go_of_blocks_nobody_else(host: AgentHost) -> None:
    """N2: back-off, `ReleaseBlocked`, the other GPU proceeds; when the driver lets go, it goes."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.inject(function="nvmlComputeInstanceDestroy", gpu=0, code=19)
    await host.want({0: [], 1: ["3g.40gb@4+4"]})
    status = await host.until(
        lambda status: states(status) == {"1g.10gb@0": "ReleaseBlocked", "3g.40gb@4": "Free"}, "blocked, and served"
    )
    assert "somebody still computes there" in slices(status, host.sim.gpus[0].uuid)[0].message
    tried = host.sim.calls()["nvmlComputeInstanceDestroy"]
    assert tried <= 6
    host.sim.clear_faults()
    await host.until(lambda status: states(status) == {"3g.40gb@4": "Free"}, "gone")


async def test_a_blocked_slice_that_is_wanted_again_is_free_again(host: AgentHost) -> None:
    """It was withdrawn, never destroyed: it is offered anew, with the same UUID."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    (before,) = await host.until_free(0, "1g.10gb@0+1")
    host.sim.inject(function="nvmlComputeInstanceDestroy", gpu=0, code=19)
    await host.want({0: []})
    await host.until(lambda status: states(status) == {"1g.10gb@0": SliceState.RELEASE_BLOCKED.value}, "blocked")
    await host.want({0: ["1g.10gb@0+1"]})
    (after,) = await host.until_free(0, "1g.10gb@0+1")
    assert after.uuid == before.uuid
    host.sim.clear_faults()
    await host.run_pod("again", "1g.10gb", "true")
    await host.until_phase("again", "Succeeded")


async def test_an_agent_restarted_under_a_running_pod_knows_its_holder(host: AgentHost) -> None:
    """Nothing is called free before it was looked at; the Pod keeps its slice even if the spec changed meanwhile."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("survives", "1g.10gb")
    await host.until_phase("survives", "Running")
    host.kill()
    await host.want({0: []})
    host.start()
    status = await host.until(lambda status: states(status) == {"1g.10gb@0": "Used"}, "used")
    holder = slices(status, host.sim.gpus[0].uuid)[0].holder
    assert holder == Holder("default", "survives", uid, "main")
    await host.delete_pod("survives")
    await host.until_free(0)


async def test_an_init_containers_slice_is_used_from_its_start_to_the_pods_end(host: AgentHost) -> None:
    """PodResources leaves plain init containers out; the slice goes on to the app container by a second Allocate."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    uid = await host.run_pod("staged", "1g.10gb", "sleep", "2", init=[container("load", "1g.10gb", "sleep", "2")])
    seen: list[list[str]] = []

    def one_used(status: Status) -> bool:
        used = [item for item in slices(status, host.sim.gpus[0].uuid) if item.state is SliceState.USED]
        seen.append([item.uuid for item in used])
        return len(used) == 1 and used[0].holder is not None and used[0].holder.uid == uid

    await host.until(one_used, "one is used, by that Pod")
    await host.until_phase("staged", "Running")
    await host.until(one_used, "the same is used on")
    loading = host.devices_of("staged", "load")
    assert host.devices_of("staged") == loading
    assert {uuid for uuids in seen for uuid in uuids} == {loading}
    await host.until_phase("staged", "Succeeded")
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
