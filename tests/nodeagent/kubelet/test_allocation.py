"""Which slice a container gets, over the wire."""

import asyncio

import grpc
import grpc.aio
import pytest

from mig.profiles import parse_profile
from nodeagent.kubelet.podresources import EXPECT_S, SETTLE_S
from tests.support.beside_kubelet import Beside
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")
RESOURCE = SMALL.resource


async def _offer(scene: Beside, *numbers: int) -> None:
    for number in numbers:
        scene.ours.offer(device(number, SMALL))
    wanted = {uuid(number) for number in numbers}
    await scene.kubelet.until(lambda: wanted <= scene.ours.offered_now(), what="the slices are offered")


async def test_claimed_slices_are_handed_out_first_and_named_by_uuid(scene: Beside) -> None:
    """Each container sees exactly its own slice."""
    await _offer(scene, 1, 2, 3)
    scene.ours.book_preference({SMALL: [uuid(3), uuid(2)]})
    envs = [await scene.kubelet.allocate(f"pod-{number}", "main", RESOURCE) for number in range(3)]
    assert envs == [{"NVIDIA_VISIBLE_DEVICES": uuid(number)} for number in (3, 2, 1)]
    assert set(scene.ours.handed_out()) == {uuid(1), uuid(2), uuid(3)}


async def test_a_hand_out_is_told_at_once(scene: Beside) -> None:
    """The agent hears of it with no poll."""
    await _offer(scene, 1)
    before = scene.changes
    await scene.kubelet.allocate("pod", "main", RESOURCE)
    await scene.kubelet.until(lambda: scene.changes > before, what="the agent is told")


async def test_a_device_that_the_kubelet_offers_twice_is_refused(scene: Beside) -> None:
    """Invariant 1: the kubelet lost track of a device, but we did not."""
    await _offer(scene, 1)
    await scene.kubelet.allocate("pod-a", "main", RESOURCE)
    del scene.kubelet.assigned["pod-a", "main"]
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await scene.kubelet.allocate("pod-b", "main", RESOURCE)
    assert refusal.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.value.details() == (
        f"slice {uuid(1)} (1g.10gb) is still in use by another Pod; a new Pod gets another slice"
    )
    scene.ours.forget_handout(uuid(1))
    assert await scene.kubelet.allocate("pod-b", "main", RESOURCE) == {"NVIDIA_VISIBLE_DEVICES": uuid(1)}


async def test_an_init_containers_device_passes_on(scene: Beside) -> None:
    """W6: a second `Allocate` of the same id within a Pod, with no preference asked, is granted."""
    await _offer(scene, 1, 2)
    first = await scene.kubelet.allocate("pod", "init", RESOURCE)
    again = await scene.kubelet.allocate("pod", "main", RESOURCE, passed_on=first["NVIDIA_VISIBLE_DEVICES"])
    assert again == first


async def test_a_slice_that_is_being_taken_away_is_refused(scene: Beside) -> None:
    """The kubelet has not taken in the withdrawal yet."""
    await _offer(scene, 1)
    scene.kubelet.takes_in_lists = False
    scene.ours.withdraw(uuid(1))
    with pytest.raises(grpc.aio.AioRpcError, match="is being taken away"):
        await scene.kubelet.allocate("pod", "main", RESOURCE)
    assert scene.ours.handed_out() == {}


async def test_a_container_does_not_start_on_a_slice_that_is_gone(scene: Beside) -> None:
    """Nor is it forgotten that an old container starts again on one that is there, with no `Allocate`."""
    await _offer(scene, 1)
    scene.gone.add(uuid(1))
    with pytest.raises(grpc.aio.AioRpcError, match="is not on its GPU any more"):
        await scene.kubelet.pre_start(RESOURCE, uuid(1))
    assert scene.ours.handed_out() == {}
    scene.gone.clear()
    await scene.kubelet.pre_start(RESOURCE, uuid(1))
    assert set(scene.ours.handed_out()) == {uuid(1)}


async def test_pod_resources_are_never_listed_during_an_allocation(scene: Beside) -> None:
    """The kubelet would forget the device and could offer it twice."""
    await _offer(scene, *range(1, 9))

    async def look() -> None:
        for _ in range(4):
            await scene.ours.assigned_now()
            await asyncio.sleep(0.02)

    async def allocate() -> None:
        for number in range(8):
            await scene.kubelet.allocate(f"pod-{number}", "main", RESOURCE, between=0.03)

    await asyncio.gather(look(), look(), allocate())
    assert scene.kubelet.list_calls == 8
    assert scene.kubelet.forgotten == []
    assert {each.device_id for each in await scene.ours.assigned_now()} == {uuid(number) for number in range(1, 9)}


async def test_a_list_waits_for_the_allocation_that_a_preference_announces(scene: Beside) -> None:
    """However late a starved kubelet comes with it: by then it regards the device as taken, and has not booked it."""
    await _offer(scene, 1)
    allocation = asyncio.create_task(scene.kubelet.allocate("pod", "main", RESOURCE, between=4 * SETTLE_S))
    await scene.kubelet.until(lambda: bool(scene.kubelet.allocating), what="the kubelet has our preference")
    assigned = await scene.ours.assigned_now()
    await allocation
    assert scene.kubelet.forgotten == []
    assert [each.device_id for each in assigned] == [uuid(1)]


async def test_a_preference_without_an_allocation_holds_lists_up_for_a_moment_alone(scene: Beside) -> None:
    """The kubelet gave the Pod up in between."""
    await _offer(scene, 1)
    doomed = asyncio.create_task(scene.kubelet.allocate("pod", "main", RESOURCE, between=60))
    await scene.kubelet.until(lambda: bool(scene.kubelet.allocating), what="the kubelet has our preference")
    doomed.cancel()
    async with asyncio.timeout(EXPECT_S + 2):
        assert await scene.ours.assigned_now() == ()


async def test_an_allocation_waits_for_a_list_that_runs(scene: Beside) -> None:
    """The preference is answered when the kubelet is done with the list."""
    await _offer(scene, 1)
    scene.kubelet.list_may_end.clear()
    listing = asyncio.create_task(_list(scene))
    await scene.kubelet.until(lambda: scene.kubelet.lists_running == 1, what="a list runs")
    allocation = asyncio.create_task(scene.kubelet.allocate("pod", "main", RESOURCE))
    await asyncio.sleep(0.1)
    assert not allocation.done()
    assert not scene.kubelet.allocating
    scene.kubelet.list_may_end.set()
    await allocation
    await listing


async def _list(scene: Beside) -> None:
    await scene.ours.assigned_now()
