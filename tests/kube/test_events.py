"""Events reach the user as the API server wants them, repeated ones as a count, and never hold anybody up."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from kube.client import Api
from kube.events import QUEUE_SIZE, WINDOW_S, EventRecorder, ObjectRef
from kube.transport import JsonObject
from tests.support.apiserver import ApiServer

POD = ObjectRef(api_version="v1", kind="Pod", name="p", namespace="ns", uid="u")
NODE = ObjectRef(api_version="v1", kind="Node", name="n.example", uid="n.example")
COLLECTION = "apis/events.k8s.io/v1/events"


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


@contextlib.asynccontextmanager
async def recording(api: Api, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[EventRecorder]:
    """Run a recorder whose pauses take no time."""
    recorder = EventRecorder(
        api, component="nos-mig-test", instance="host-1", clock=clock, sleep=lambda _: asyncio.sleep(0)
    )
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(recorder.run())
        yield recorder
        worker.cancel()


def stored(server: ApiServer) -> list[JsonObject]:
    return list(server.store.collection(COLLECTION).values())


def say(recorder: EventRecorder, note: str = "waits", about: ObjectRef = POD, **more: Any) -> None:
    recorder.emit(about, reason="Full", action="Allocate", note=note, **more)


async def test_an_event_carries_all_that_the_api_server_wants(api: Api, server: ApiServer) -> None:
    async with recording(api) as recorder:
        say(recorder, warning=True)
        await server.until(lambda: stored(server))
    [event] = stored(server)
    assert event["metadata"]["namespace"] == "ns"
    assert event["metadata"]["name"].startswith("p.")
    assert event["regarding"] == {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "ns", "uid": "u"}
    assert {key: event[key] for key in ("type", "reason", "action", "note", "reportingController")} == {
        "type": "Warning",
        "reason": "Full",
        "action": "Allocate",
        "note": "waits",
        "reportingController": "nos-mig-test",
    }
    assert event["reportingInstance"] == "host-1"
    assert event["eventTime"].endswith("Z")
    assert "series" not in event


async def test_events_of_cluster_scoped_objects_live_in_the_default_namespace(api: Api, server: ApiServer) -> None:
    async with recording(api) as recorder:
        say(recorder, about=NODE)
        await server.until(lambda: stored(server))
    assert stored(server)[0]["metadata"]["namespace"] == "default"


async def test_a_long_note_is_cut_to_the_limit(api: Api, server: ApiServer) -> None:
    async with recording(api) as recorder:
        say(recorder, note="x" * 5000)
        await server.until(lambda: stored(server))
    assert len(stored(server)[0]["note"]) == 1024


async def test_the_same_again_is_counted_not_repeated(api: Api, server: ApiServer) -> None:
    clock = Clock()
    async with recording(api, clock) as recorder:
        say(recorder)
        await server.until(lambda: stored(server))
        for _ in range(50):
            say(recorder)
        say(recorder, note="something else")
        await server.until(lambda: len(stored(server)) == 2)
        clock.now += 61
        say(recorder)
        await server.until(lambda: any("series" in event for event in stored(server)))
    first = next(event for event in stored(server) if event["note"] == "waits")
    assert first["series"]["count"] == 52
    assert len(server.asked("/events")) == 3


async def test_after_the_window_it_is_a_new_event(api: Api, server: ApiServer) -> None:
    clock = Clock()
    async with recording(api, clock) as recorder:
        say(recorder)
        await server.until(lambda: stored(server))
        clock.now += WINDOW_S + 1
        say(recorder)
        await server.until(lambda: len(stored(server)) == 2)
    assert all("series" not in event for event in stored(server))


async def test_an_event_that_the_server_has_dropped_meanwhile_is_made_again(api: Api, server: ApiServer) -> None:
    clock = Clock()
    async with recording(api, clock) as recorder:
        say(recorder)
        await server.until(lambda: stored(server))
        server.store.collection(COLLECTION).clear()
        clock.now += 61
        say(recorder)
        await server.until(lambda: stored(server))
    assert stored(server)[0]["series"]["count"] == 2


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_refused_event_is_dropped_and_the_next_one_written(api: Api, server: ApiServer, status: int) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=status) if b"lost" in await request.read() else None

    server.interceptors.append(refuse)
    async with recording(api) as recorder:
        say(recorder, note="lost")
        say(recorder, note="kept")
        await server.until(lambda: stored(server))
    assert [event["note"] for event in stored(server)] == ["kept"]
    assert recorder.dropped == 1


async def test_an_event_whose_answer_was_lost_is_stored_once(api: Api, server: ApiServer) -> None:
    async def store_and_fail(request: web.Request) -> web.StreamResponse:
        server.interceptors.clear()
        await server.handle(request)
        return web.Response(status=504)

    server.interceptors.append(store_and_fail)
    async with recording(api) as recorder:
        say(recorder)
        await server.until(lambda: len(server.asked("/events")) == 3)
    assert (len(stored(server)), recorder.dropped) == (1, 0)


async def test_a_flood_without_a_server_neither_waits_nor_grows(api: Api) -> None:
    recorder = EventRecorder(api, component="c", instance="i")
    for number in range(QUEUE_SIZE + 100):
        say(recorder, note=str(number))
    assert recorder.dropped == 100


async def test_what_is_queued_at_shutdown_is_still_written(api: Api, server: ApiServer) -> None:
    recorder = EventRecorder(api, component="c", instance="i")
    say(recorder)
    await recorder.drain()
    assert len(stored(server)) == 1


async def test_draining_gives_up_in_time(api: Api, server: ApiServer) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    server.interceptors.append(hang)
    recorder = EventRecorder(api, component="c", instance="i")
    say(recorder)
    async with asyncio.timeout(2):
        await recorder.drain(timeout_s=0.1)


def test_a_reference_is_made_of_a_listed_object() -> None:
    obj = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}}
    assert ObjectRef.of(obj, api_version="v1", kind="Pod") == POD
