"""SIGTERM: the agent says that it leaves, waits for Pods that were let go, withdraws what nobody uses, and ends in time."""

import asyncio
import signal
import subprocess
import time

from kube.resource import NODES, PODS
from mig.migspec import Status
from mig.names import GATE
from tests.support.agenthost import POLL_S, AgentHost, slices, states

RESOURCE = "nvidia.com/mig-1g.10gb"


def reason(status: Status) -> str:
    """Why the node is not healthy."""
    healthy = status.condition("Healthy")
    return healthy.reason if healthy else ""


async def allocatable(host: AgentHost, resource: str = RESOURCE) -> str:
    """What the Node counts."""
    node = await host.api.get(NODES, host.node)
    return str(node["status"]["allocatable"].get(resource, ""))


def begin_to_leave(host: AgentHost) -> subprocess.Popen[bytes]:
    """SIGTERM, and the process that has got it."""
    assert host.process is not None
    host.process.send_signal(signal.SIGTERM)
    return host.process


async def until_left(host: AgentHost, process: subprocess.Popen[bytes], *, within_s: float) -> None:
    """Wait for the end in order."""
    began = time.monotonic()
    await host.until_ended(process, within_s=within_s)
    assert process.returncode == 0, f"{process.returncode} after {time.monotonic() - began:.1f} s\n{host.log[-3000:]}"


async def until_logged(host: AgentHost, words: str) -> None:
    """Wait for the agent's own word; a time-out shows what it said instead."""
    try:
        async with asyncio.timeout(20):
            while True:
                if words in host.log:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise AssertionError(f"not logged within 20 s: {words}\n{host.log[-4000:]}") from error


async def test_the_report_says_that_it_leaves_and_the_node_counts_nothing_at_the_end(host: AgentHost) -> None:
    """What a Pod uses stays in use; what nobody uses is withdrawn; the hardware is as it was; a successor offers it at once."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4"]})
    before = await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4")
    await host.run_pod("stays", "1g.10gb")
    await host.until_phase("stays", "Running")
    await host.until(lambda status: "Used" in states(status).values(), "used")
    hardware = host.hardware(0)
    host.sim.reset_calls()

    process = begin_to_leave(host)
    await host.until(lambda status: reason(status) == "AgentLeaving", "told")
    await until_left(host, process, within_s=20)
    status = (await host.migspec()).status
    assert status is not None
    assert reason(status) == "AgentLeaving"
    assert sorted(states(status).values()) == ["Creating", "Creating", "Used"]
    assert (await allocatable(host), await allocatable(host, "nvidia.com/mig-3g.40gb")) == ("0", "0")
    assert host.hardware(0) == hardware
    assert not {name for name in host.sim.calls() if "Create" in name or "Destroy" in name}

    host.start()
    status = await host.until(lambda status: sorted(states(status).values()) == ["Free", "Free", "Used"], "as before")
    assert reason(status) == "Healthy"
    assert {item.uuid for item in slices(status, host.sim.gpus[0].uuid)} == {item.uuid for item in before}
    assert await allocatable(host) == "2"
    assert (await host.api.get(PODS, "stays", namespace="default"))["status"]["phase"] == "Running"


async def test_a_pod_that_was_let_go_before_is_waited_for(host: AgentHost) -> None:
    """Its claim is in the spec and its gate is gone: it is bound while the agent leaves, and gets its slice."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("late", "1g.10gb", "sleep", "1", schedulerName="nobody")
    await host.claim(0, "1g.10gb@0+1", pod="late", uid=uid)
    await host.until_free(0, "1g.10gb@0+1")

    process = begin_to_leave(host)
    await host.until(lambda status: reason(status) == "AgentLeaving", "told")
    await until_logged(host, "waiting for Pod default/late before")
    assert process.poll() is None
    assert await allocatable(host) == "1"
    await host.bind("late")
    await host.until_phase("late", "Running", "Succeeded")
    await until_left(host, process, within_s=20)
    await host.until_phase("late", "Succeeded")


async def test_a_pod_that_is_gated_or_gone_is_not_waited_for(host: AgentHost) -> None:
    """Nobody lets it go to this node any more."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("gated", "1g.10gb", schedulingGates=[{"name": GATE}])
    await host.claim(0, "1g.10gb@0+1", pod="gated", uid=uid)
    await host.until_free(0, "1g.10gb@0+1")
    await until_left(host, begin_to_leave(host), within_s=20)
    assert "not waiting any longer" not in host.log


async def test_the_wait_for_pods_is_bounded(host: AgentHost) -> None:
    """Nobody binds the Pod: after its time the agent withdraws the slice and ends all the same."""
    host.start("--drain-s", "3")
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("never", "1g.10gb", schedulerName="nobody")
    await host.claim(0, "1g.10gb@0+1", pod="never", uid=uid)
    await host.until_free(0, "1g.10gb@0+1")
    await until_left(host, begin_to_leave(host), within_s=20)
    assert "not waiting any longer for Pod default/never" in host.log
    assert await allocatable(host) == "0"


async def test_a_slice_that_is_being_made_is_made_to_its_end_and_no_other_is_begun(host: AgentHost) -> None:
    """Nothing is left half-made, and nothing new is touched."""
    host.start()
    await host.want({0: []})
    await host.until_free(0)
    host.sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", gpu=0, block_ms=1500)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4"]})
    await host.until_called("nvmlDeviceCreateGpuInstanceWithPlacement")
    await until_left(host, begin_to_leave(host), within_s=20)
    ((profile, _, whole),) = host.hardware(0)
    assert (profile, whole) == ("1g.10gb", True)
    host.sim.clear_faults()
    host.start()
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1", "3g.40gb@4+4")


async def test_the_slices_of_a_gpu_that_hangs_are_counted_no_more_at_the_end(host: AgentHost) -> None:
    """N7: its keeper waits for the driver; a Pod that is bound by what it left counted would find nobody."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"], 1: ["3g.40gb@4+4"]})
    await host.until_free(0, "1g.10gb@0+1")
    await host.until_free(1, "3g.40gb@4+4")
    host.sim.reset_calls()
    host.sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", gpu=0, block_ms=120_000)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"], 1: ["3g.40gb@4+4"]})
    await host.until_called("nvmlDeviceCreateGpuInstanceWithPlacement")
    await until_left(host, begin_to_leave(host), within_s=20)
    assert (await allocatable(host), await allocatable(host, "nvidia.com/mig-3g.40gb")) == ("0", "0")


async def test_an_agent_without_a_migspec_leaves_at_once(host: AgentHost) -> None:
    """A node that is not handed over keeps nobody waiting."""
    host.start()
    await host.until_ready()
    began = time.monotonic()
    await until_left(host, begin_to_leave(host), within_s=20)
    assert time.monotonic() - began < 10


async def test_a_second_signal_ends_it_at_once(host: AgentHost) -> None:
    """Somebody lost patience."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("unbound", "1g.10gb", schedulerName="nobody")
    await host.claim(0, "1g.10gb@0+1", pod="unbound", uid=uid)
    process = begin_to_leave(host)
    await host.until(lambda status: reason(status) == "AgentLeaving", "told")
    process.send_signal(signal.SIGTERM)
    await host.until_ended(process, within_s=5)
    assert process.returncode == 128 + signal.SIGTERM
