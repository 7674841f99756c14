"""Every process may be killed at any moment: work goes on where it stood, and nobody loses or shares a slice."""

import asyncio
import signal

import pytest

from demo.stack import Stack
from kube.errors import ApiError
from tests.cluster.conftest import A
from tests.cluster.world import World, pod

ON_A = {"kubernetes.io/hostname": A}


def leader(stack: Stack) -> str:
    """The allocator that leads, by its Lease."""
    return stack.cluster.kubectl(
        "-n", "nos-mig", "get", "lease", "nos-mig-allocator", "-o", "jsonpath={.spec.holderIdentity}"
    )


def devices_are_distinct(here: World, names: list[str]) -> None:
    seen = [(here.track(name).node, here.device(here.track(name).node, name)) for name in names]
    assert len(set(seen)) == len(names)
    for node, device in seen:
        assert device in here.hardware(node)


@pytest.mark.parametrize("victim", ["agent", "allocator", "both"])
async def test_pods_that_were_under_way_get_their_slices_after_a_kill(here: World, victim: str) -> None:
    """L10, N1: SIGKILL in mid-work; the Pods under way run all the same, each on a device of its own."""
    names = [f"p{n}" for n in range(6)]
    sim = here.node(A).sim
    sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", block_ms=100)
    try:
        await here.create(*(pod(name, "1g.10gb", nodeSelector=ON_A) for name in names))
        await here.until(lambda: any(here.migspec(A).spec.claims()), "a reservation")
        if victim in ("agent", "both"):
            here.stack.children[f"agent-{A}"].kill(signal.SIGKILL)
        if victim in ("allocator", "both"):
            here.stack.children[leader(here.stack)].kill(signal.SIGKILL)
        await here.running(*names, timeout_s=60)
    finally:
        sim.clear_faults()
    devices_are_distinct(here, names)


async def test_running_pods_keep_their_slices_while_agent_and_allocators_are_restarted(here: World) -> None:
    """Invariants 2 and 5: nothing that runs is touched by our own deaths."""
    await here.create(pod("keeper", "2g.20gb", nodeSelector=ON_A))
    await here.running("keeper")
    device = here.device(A, "keeper")
    before = here.migspec(A).generation
    victims = [here.stack.children[name] for name in ("agent-" + A, "allocator-0", "allocator-1")]
    starts = [child.starts for child in victims]
    for child in victims:
        child.kill(signal.SIGKILL)
    await here.poll(
        lambda: all(child.starts > before for child, before in zip(victims, starts, strict=True)), "all are back"
    )
    here.stack.wait_ready()
    await here.create(pod("newcomer", "2g.20gb", nodeSelector=ON_A))
    await here.running("newcomer", timeout_s=60)
    assert here.migspec(A).generation > before
    assert device in here.hardware(A)
    assert here.track("keeper").phase == "Running"
    assert here.device(A, "newcomer") != device


async def test_a_second_allocator_takes_over_with_a_higher_epoch(here: World) -> None:
    """L10: SIGTERM hands the lease over within a retry period, and every MigSpec is written in the new term."""
    old = leader(here.stack)
    epoch = here.migspec(A).spec.leader_epoch
    here.stack.children[old].kill(signal.SIGTERM)
    await here.until(lambda: here.migspec(A).spec.leader_epoch > epoch, "a new term", timeout_s=10)
    await here.create(pod("after", "1g.10gb"))
    await here.running("after")
    here.stack.wait_ready()


async def test_a_dead_webhook_refuses_mig_pods_alone_and_comes_back(here: World) -> None:
    """W19, invariant 7: Pods without MIG are created as if nothing were; MIG Pods are refused until it is back."""
    child = here.stack.children["webhook"]
    child.kill(signal.SIGKILL)
    plain = pod("plain")
    plain["spec"]["containers"] = [{"name": "main", "image": "busybox", "command": ["sleep", "infinity"]}]
    await here.create(plain)
    await here.running("plain")
    async with asyncio.timeout(20):
        while True:
            try:
                await here.create(pod("mig", "1g.10gb"))
                break
            except ApiError as refusal:
                assert "webhook" in str(refusal)  # noqa: PT017 - each refusal must be of this kind until one create passes
                await asyncio.sleep(0.2)
    await here.running("mig")
