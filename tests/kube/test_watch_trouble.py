"""A6, A11: a watch that cannot work says why, goes on trying, and says when it works; others are not affected."""

import logging

import pytest
from aiohttp import web

from kube.client import Api
from kube.errors import Forbidden, NotFound, Unavailable
from kube.listwatch import Trouble, list_watch, raw
from kube.resource import NODES, PODS, Resource
from kube.transport import JsonObject
from tests.support.apiserver import ApiServer, Interceptor
from tests.support.watching import FAST, watching

THINGS = Resource("example.com", "v1", "things", namespaced=False)


def answer(status: int, reason: str, *, path: str) -> Interceptor:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        if request.path != path:
            return None
        body = {"kind": "Status", "code": status, "reason": reason, "message": f"{reason} it is"}
        return web.json_response(body, status=status)

    return fault


async def test_a6_a_forbidden_resource_is_reported_and_others_go_on(api: Api, server: ApiServer) -> None:
    server.interceptors.append(answer(403, "Forbidden", path="/api/v1/nodes"))
    async with watching(api, NODES) as forbidden, watching(api, PODS) as allowed:
        await forbidden.until(lambda seen: len(seen.troubles) >= 2)
        await allowed.until(lambda seen: seen.synced)
        await api.create(PODS, {"metadata": {"name": "p", "namespace": "ns"}})
        await allowed.until(lambda seen: "p" in seen.content)
        server.interceptors.clear()
        await forbidden.until(lambda seen: seen.synced)
        await forbidden.until(lambda seen: seen.troubles[-1] is None)
    first, second, *_ = forbidden.troubles
    assert first is not None
    assert second is not None
    assert isinstance(first.error, Forbidden)
    assert (first.failures, second.failures) == (1, 2)
    assert "nodes/v1 cannot be watched" in str(first)
    assert allowed.troubles == []


async def test_a11_a_missing_crd_is_waited_for(api: Api, server: ApiServer) -> None:
    server.interceptors.append(answer(404, "NotFound", path="/apis/example.com/v1/things"))
    async with watching(api, THINGS) as seen:
        await seen.until(lambda seen: len(seen.troubles) == 3)
        assert seen.synced == 0
        server.store.create("apis/example.com/v1/things", "", {"metadata": {"name": "t"}})
        server.interceptors.clear()
        await seen.until(lambda seen: "t" in seen.content)
    trouble = seen.troubles[0]
    assert trouble is not None
    assert isinstance(trouble.error, NotFound)
    assert "things.example.com/v1 is not served here; waiting for it to be installed" in str(trouble)


async def test_objects_known_before_stay_known_while_the_server_is_away(api: Api, server: ApiServer) -> None:
    """A10: unknown is not empty."""
    server.store.create("api/v1/nodes", "", {"metadata": {"name": "a"}})
    async with watching(api, NODES) as seen:
        await server.until(lambda: server.asked("watch=true"))
        server.interceptors.append(answer(503, "ServiceUnavailable", path="/api/v1/nodes"))
        server.cut_streams()
        await seen.until(lambda seen: any(trouble and trouble.failures >= 3 for trouble in seen.troubles))
        assert list(seen.content) == ["a"]
        server.store.create("api/v1/nodes", "", {"metadata": {"name": "b"}})
        server.interceptors.clear()
        await seen.until(lambda seen: "b" in seen.content)
    assert any(trouble and isinstance(trouble.error, Unavailable) for trouble in seen.troubles)
    assert list(seen.content) == ["a", "b"]


async def test_a_list_without_version_is_not_taken_for_an_empty_one(api: Api, server: ApiServer) -> None:
    server.store.create("api/v1/nodes", "", {"metadata": {"name": "a"}})
    async with watching(api, NODES) as seen:
        await server.until(lambda: server.asked("watch=true"))

        async def empty(_: web.Request) -> web.StreamResponse:
            return web.json_response({})

        server.interceptors.append(answer(410, "Expired", path="/api/v1/nodes"))
        server.cut_streams()
        await server.until(lambda: len(server.asked("watch=true")) == 2)
        server.interceptors[:] = [empty]
        await seen.until(
            lambda seen: any(trouble and "without resourceVersion" in str(trouble) for trouble in seen.troubles)
        )
        assert list(seen.content) == ["a"]


async def test_the_log_says_once_what_is_wrong_and_once_that_it_is_over(
    api: Api, server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.interceptors.append(answer(403, "Forbidden", path="/api/v1/nodes"))
    caplog.set_level(logging.INFO, logger="kube")
    tries = 0

    async def count(_: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 5:
            server.interceptors.clear()

    events = list_watch(api, NODES, decode=raw, timing=FAST, sleep=count)
    await anext(events)
    server.store.create("api/v1/nodes", "", {"metadata": {"name": "a"}})
    await anext(events)
    await events.aclose()
    messages = [record.getMessage() for record in caplog.records if record.name == "kube.listwatch"]
    assert tries == 5
    assert [message.split(":")[0] for message in messages] == [
        "nodes/v1 cannot be watched",
        "nodes/v1 can be watched again",
    ]


def test_trouble_names_resource_and_error() -> None:
    text = str(Trouble(NODES, Unavailable("GET /x", status=502, message="bad"), 3))
    assert text == "nodes/v1 cannot be watched: GET /x: 502: bad"


async def test_a12_an_object_that_cannot_be_decoded_stops_nothing(api: Api, server: ApiServer) -> None:
    for name in ("a", "bad", "c"):
        server.store.create("api/v1/nodes", "", {"metadata": {"name": name}, "n": None if name == "bad" else 1})

    def decode(obj: JsonObject) -> int:
        return int(obj["n"])

    events = list_watch(api, NODES, decode=decode, timing=FAST)
    kinds = [type(await anext(events)).__name__ for _ in range(4)]
    await events.aclose()
    assert kinds == ["Upsert", "Rejected", "Upsert", "Synced"]
