"""The Node's counts follow the offers at once, and stay true against an older view that somebody writes."""

import asyncio

from aiohttp import web

from mig.profiles import parse_profile
from nodeagent.kubelet.counts import FIGHT_S
from tests.support.beside_kubelet import Beside
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")
RESOURCE = SMALL.resource


async def _offer(scene: Beside, *numbers: int) -> None:
    for number in numbers:
        scene.ours.offer(device(number, SMALL))
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(numbers[-1]), SMALL), what="the slices are ready")


async def test_capacity_counts_all_ids_and_allocatable_the_healthy_ones(scene: Beside) -> None:
    """And nothing else of the Node is written."""
    await _offer(scene, 1, 2, 3)
    scene.ours.withdraw(uuid(2))
    await scene.kubelet.until(lambda: scene.count(RESOURCE) == "2", what="the withdrawn one is not allocatable")
    assert scene.node()["status"] == {"capacity": {"cpu": "2", RESOURCE: "3"}, "allocatable": {RESOURCE: "2"}}


async def test_what_is_held_back_is_not_allocatable_though_healthy(scene: Beside) -> None:
    """The first step of taking a slice away; `counts_published` tells when the Node shows it."""
    await _offer(scene, 1, 2)
    scene.ours.hold_back({uuid(1)})
    assert not scene.ours.counts_published(SMALL)
    async with asyncio.timeout(10):
        await scene.ours.wait_counts(SMALL)
    assert (scene.count(RESOURCE), scene.count(RESOURCE, "capacity")) == ("1", "2")
    assert scene.kubelet.healthy(RESOURCE) == {uuid(1), uuid(2)}
    scene.ours.hold_back(frozenset())
    await scene.kubelet.until(lambda: scene.count(RESOURCE) == "2", what="it counts again")


async def test_an_older_count_that_the_kubelet_writes_is_corrected_at_once(scene: Beside) -> None:
    """Also a zero after its restart."""
    await _offer(scene, 1, 2)
    await scene.kubelet_writes(RESOURCE, "0")
    assert not scene.ours.counts_published(SMALL)
    await scene.kubelet.until(lambda: scene.count(RESOURCE) == "2", what="it is corrected")


async def test_a_late_watch_event_does_not_undo_what_was_learnt(scene: Beside) -> None:
    """A version of the Node from before our own write comes after it: no write, no doubt."""
    before = scene.node()
    await _offer(scene, 1)
    patches = scene.patches
    scene.ours.node_seen(before)
    assert scene.ours.counts_published(SMALL)
    await asyncio.sleep(0.1)
    assert scene.patches == patches


async def test_somebody_who_keeps_writing_back_is_not_fought_at_full_speed(scene: Beside) -> None:
    """Two writers that correct each other do not bring the API server down: the pauses grow."""
    await _offer(scene, 1)
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in FIGHT_S[:5]:
        await scene.kubelet_writes(RESOURCE, "0")
        await scene.kubelet.until(lambda: scene.count(RESOURCE) == "1", what="it is corrected")
    assert clock() - began >= sum(FIGHT_S[:5]) > 1


async def test_a_forbidden_write_is_reported_and_not_hammered(scene: Beside) -> None:
    """A6: the right to write the Node's status is missing."""

    async def forbid(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "the policy says no"}
        return web.json_response(body, status=403)

    scene.server.interceptors.append(forbid)
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: bool(scene.ours.status.troubles), what="it is reported")
    (trouble,) = scene.ours.status.troubles
    assert "the policy says no" in trouble
    assert "nodes/status" in trouble
    await asyncio.sleep(0.3)
    assert scene.patches <= 2
    assert uuid(1) in scene.ours.offered_now()
    assert not scene.ours.ready(uuid(1), SMALL)


async def test_a_failed_write_is_repeated(scene: Beside) -> None:
    """A7, A10: the API server has trouble for a moment."""
    failures = 2

    async def fail(request: web.Request) -> web.StreamResponse | None:
        nonlocal failures
        if request.method != "PATCH" or failures == 0:
            return None
        failures -= 1
        return web.Response(status=502, text="<html>bad gateway</html>")

    scene.server.interceptors.append(fail)
    await _offer(scene, 1)
    assert scene.count(RESOURCE) == "1"
    assert scene.ours.status.troubles == ()
