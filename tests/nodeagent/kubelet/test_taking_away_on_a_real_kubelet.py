"""DESIGN's order of taking a slice away, on a real kubelet: whatever happens at whichever step, no Pod fails for it.

Every step is held while something happens there: a Pod comes, the kubelet restarts, the agent restarts. All steps are tried at
once, each with a slice of a profile of its own, since the kubelet treats each resource apart.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from cluster import Cluster, Node
from mig.profiles import Profile, parse_profile
from tests.support.departing import Departing, Scene, departing
from tests.support.slices import device, uuid

STEPS: Final = ("present", "held", "shown", "withdrawn", "not offered", "destroying", "destroyed", "dropped")
"""Count not lowered; lowered; the Node shows it; Unhealthy; the kubelet takes that in and the Node shows the count again; looked
once more, the driver at it; gone from the hardware; gone from the list."""

COUNTED: Final = frozenset({"present", "held", "shown"})
"""A scheduler that decided before the lower count was shown may still bind a Pod now."""

RETURNABLE: Final = COUNTED | {"withdrawn", "not offered"}

PROFILES: Final = {step: parse_profile(f"1g.{100 + number}gb") for number, step in enumerate(STEPS)}


async def _reach(item: Departing, step: str) -> None:
    """Bring a slice to a step, and not beyond."""
    real = item.real
    await _is_ready(item, step)
    if step == "present":
        return
    await item.advance_until(lambda: item.stage == "HELD", what=step)
    if step == "held":
        return
    await item.advance_until(lambda: item.stage == "SHOWN", what=step)
    assert item.counted == "0"
    if step == "shown":
        return
    await item.advance_until(lambda: item.stage == "WITHDRAWN", what=step)
    if step == "withdrawn":
        return
    await real.until(lambda: item.device_id not in real.kubelet.offered_now(), what=step)
    await real.until(lambda: real.kubelet.counts_published(item.profile), what=step)
    if step == "not offered":
        return
    if step == "destroying":
        item.driver.may_destroy.clear()
        item.background = asyncio.create_task(item.advance_until(lambda: not item.exists, what=step))
        await asyncio.to_thread(item.driver.entered.wait, 20)
        return
    await item.advance_until(lambda: not item.exists, what=step)
    if step == "dropped":
        await real.until(lambda: not item.listed, what=step)


async def _is_ready(item: Departing, step: str) -> None:
    """As the allocator waits for it before it lets a Pod go: until then the Node may show the count of an agent that died."""
    await item.real.until(lambda: item.real.kubelet.ready(item.device_id, item.profile), what=f"{step}: ready")


async def _all(scene: Scene, each: Callable[[Departing, str], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for item in scene.slices:
            tasks.create_task(_awaited(each(item, _step_of(item.profile))))


async def _awaited(done: Awaitable[None]) -> None:
    await done


def _step_of(profile: Profile) -> str:
    return next(step for step, each in PROFILES.items() if each == profile)


def _pod(step: str) -> str:
    return f"at-{step.replace(' ', '-')}"


async def _phase(scene: Scene, step: str) -> str:
    return str((await scene.real.pod_status(_pod(step)))["phase"])


async def _pod_comes(scene: Scene, step: str) -> None:
    """Bound at once where a scheduler may still do so; otherwise it is the scheduler's to find a place."""
    bound = {"nodeName": scene.real.node.name} if step in COUNTED else {}
    await scene.real.create_pod(_pod(step), PROFILES[step], **bound)


async def _pod_runs_on(scene: Scene, step: str, device_id: str) -> None:
    await scene.real.wait_phase(_pod(step), "Running", within_s=40)
    assert scene.real.container_env(_pod(step))["NVIDIA_VISIBLE_DEVICES"] == device_id, step


async def _pod_gets_its_slice(scene: Scene, item: Departing, step: str) -> None:
    """This one, which is returned, while it exists; afterwards the Pod waits for another."""
    if step in COUNTED:
        running = asyncio.create_task(_pod_runs_on(scene, step, item.device_id))
        await item.advance_until(running.done, what=f"{step}: the Pod runs", within_s=60)
        await running
    elif step in RETURNABLE:
        item.wanted = True
        await item.advance()
        await _pod_runs_on(scene, step, item.device_id)
    else:
        item.driver.may_destroy.set()
        if item.background is not None:
            await item.background
        await scene.real.until(lambda: not item.listed, what=f"{step}: dropped")
        assert await _phase(scene, step) == "Pending", step
        other = device(2000 + STEPS.index(step), item.profile)
        scene.real.kubelet.offer(other)
        await _pod_runs_on(scene, step, other.id)
        return
    assert item.exists, step
    assert item.stage == "PRESENT", step
    await scene.real.until(lambda: item.counted == "1", what=f"{step}: counted again")


async def _pod_goes_and_so_does_the_slice(scene: Scene, item: Departing, step: str) -> None:
    assert await _phase(scene, step) == "Running", step
    item.wanted = False
    await scene.real.delete_pod(_pod(step))
    await item.advance_until(lambda: not item.exists, what=f"{step}: the slice goes after its Pod")
    assert item.driver.destroyed == [item.device_id]


@pytest.mark.timeout(180)
async def test_a_pod_that_comes_at_any_step_has_its_slice_or_waits(
    clusters_node: tuple[Cluster, Node], tmp_path: Path
) -> None:
    """Invariant 2 and DESIGN §3: a Pod bound by the old count gets the very slice, which is returned; later ones wait unharmed."""
    async with departing(*clusters_node, list(PROFILES.values()), folder=tmp_path) as scene:

        async def one(item: Departing, step: str) -> None:
            await _reach(item, step)
            await _pod_comes(scene, step)
            await _pod_gets_its_slice(scene, item, step)
            await _pod_goes_and_so_does_the_slice(scene, item, step)

        await _all(scene, one)


@pytest.mark.timeout(180)
async def test_a_kubelet_that_restarts_at_any_step_costs_no_pod(
    clusters_node: tuple[Cluster, Node], tmp_path: Path
) -> None:
    """While it is away nothing goes on but what the driver was at; then each step is where it was, and Pods come as before."""
    async with departing(*clusters_node, list(PROFILES.values()), folder=tmp_path) as scene:
        real = scene.real
        await _all(scene, _reach)
        await asyncio.to_thread(real.node.stop_kubelet)
        await real.until(lambda: not real.kubelet.status.reachable, what="the kubelet is away")
        stages = {
            item.device_id: item.stage for item in scene.slices if item.stage != "PRESENT" and not item.background
        }
        for _ in range(20):
            await asyncio.gather(*(item.advance() for item in scene.slices if item.device_id in stages))
            await asyncio.sleep(0.02)
        await asyncio.to_thread(real.node.restart_kubelet)
        assert {item.device_id: item.stage for item in scene.slices if item.device_id in stages} == stages

        async def one(item: Departing, step: str) -> None:
            if step in COUNTED:
                await real.until(lambda: item.device_id in real.kubelet.offered_now(), what=f"{step}: offered again")
            await _pod_comes(scene, step)
            await _pod_gets_its_slice(scene, item, step)
            await _pod_goes_and_so_does_the_slice(scene, item, step)

        await _all(scene, one)


@pytest.mark.timeout(180)
async def test_an_agent_that_restarts_at_any_step_costs_no_pod(
    clusters_node: tuple[Cluster, Node], tmp_path: Path
) -> None:
    """N1: the next agent knows nothing of the way; what exists is offered again, and what is gone is not counted."""
    profiles = list(PROFILES.values())
    async with departing(*clusters_node, profiles, folder=tmp_path) as scene:
        await _all(scene, _reach)
    gone = frozenset(uuid(1000 + number) for number, step in enumerate(STEPS) if step not in RETURNABLE)
    async with departing(*clusters_node, profiles, folder=tmp_path, gone=gone) as scene:
        for item in scene.slices:
            item.wanted = True
        await _all(scene, _is_ready)
        for step in STEPS:
            await scene.real.create_pod(_pod(step), PROFILES[step])

        async def one(item: Departing, step: str) -> None:
            await _pod_runs_on(scene, step, item.device_id)
            await _pod_goes_and_so_does_the_slice(scene, item, step)

        await _all(scene, one)
        for number, step in enumerate(STEPS):
            if step not in RETURNABLE:
                assert await _phase(scene, step) == "Pending", step
                other = device(2000 + number, PROFILES[step])
                scene.real.kubelet.offer(other)
                await _pod_runs_on(scene, step, other.id)
                await scene.real.delete_pod(_pod(step))
