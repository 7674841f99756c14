"""A watch reports everything that happens, across everything that the API server does to its connections."""

import asyncio
from dataclasses import replace

from aiohttp import web

from kube.client import PAGE_SIZE, Api
from kube.resource import NODES
from kube.watchstate import Delete, Synced, Upsert
from tests.support.apiserver import ApiServer
from tests.support.watching import FAST, watching

COLLECTION = "api/v1/nodes"


def node(name: str, **labels: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": labels}}


def is_watch(request: web.Request) -> bool:
    return request.query.get("watch") == "true"


async def test_creations_changes_and_deletions_arrive_in_order(api: Api, server: ApiServer) -> None:
    server.store.create(COLLECTION, "", node("a"))
    async with watching(api, NODES) as seen:
        await seen.until(lambda seen: seen.synced)
        await api.create(NODES, node("b"))
        await api.merge_patch(NODES, "a", {"spec": {"unschedulable": True}})
        await api.delete(NODES, "b")
        await seen.until(lambda seen: len(seen.events) == 5)
    assert [type(event) for event in seen.events] == [Upsert, Synced, Upsert, Upsert, Delete]
    assert seen.content["a"]["spec"] == {"unschedulable": True}


async def test_many_pages_are_one_list(api: Api, server: ApiServer) -> None:
    for number in range(PAGE_SIZE + 2):
        server.store.create(COLLECTION, "", node(f"n{number:04}"))
    async with watching(api, NODES) as seen:
        await seen.until(lambda seen: seen.synced)
    assert (len(seen.content), seen.synced) == (PAGE_SIZE + 2, 1)


async def test_an_object_of_megabytes_passes_the_stream(api: Api, server: ApiServer) -> None:
    async with watching(api, NODES) as seen:
        await server.until(lambda: server.asked("watch=true"))
        server.store.create(COLLECTION, "", {"metadata": {"name": "big"}, "data": "x" * 3_000_000})
        await server.notify()
        await seen.until(lambda seen: "big" in seen.content)
    assert len(seen.content["big"]["data"]) == 3_000_000


async def test_an_object_that_leaves_the_selection_is_deleted(api: Api, server: ApiServer) -> None:
    server.store.create(COLLECTION, "", node("a", on="1"))
    async with watching(api, NODES, label_selector="on=1") as seen:
        await seen.until(lambda seen: seen.synced)
        await api.merge_patch(NODES, "a", {"metadata": {"labels": {"on": None}}})
        await seen.until(lambda seen: not seen.content)


async def test_a1_after_410_as_status_it_lists_again_and_notices_what_it_missed(api: Api, server: ApiServer) -> None:
    """A1: the stream ends, an object goes and history is compacted: the DELETE comes out of the next list."""
    server.store.create(COLLECTION, "", node("a"))
    server.store.create(COLLECTION, "", node("b"))
    cut = asyncio.Event()

    async def cut_once(request: web.Request) -> web.StreamResponse | None:
        if not is_watch(request) or cut.is_set():
            return None
        response = web.StreamResponse()
        await response.prepare(request)
        await cut.wait()
        return response

    server.interceptors.append(cut_once)
    async with watching(api, NODES) as seen:
        await seen.until(lambda seen: seen.synced)
        server.store.delete(COLLECTION, "", "a")
        server.store.compact()
        cut.set()
        await seen.until(lambda seen: seen.synced == 2)
    assert list(seen.content) == ["b"]
    assert [event.key.name for event in seen.events if isinstance(event, Delete)] == ["a"]
    assert seen.troubles == []


async def test_a1_after_410_inside_the_stream_it_lists_again(api: Api, server: ApiServer) -> None:
    async def expired(request: web.Request) -> web.StreamResponse | None:
        if not is_watch(request):
            return None
        server.interceptors.clear()
        return web.Response(body=b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')

    server.interceptors.append(expired)
    async with watching(api, NODES) as seen:
        await seen.until(lambda seen: seen.synced == 2)
    assert seen.troubles == []


async def test_a8_a_continue_token_that_expires_in_mid_list_starts_the_list_again(api: Api, server: ApiServer) -> None:
    for number in range(PAGE_SIZE + 2):
        server.store.create(COLLECTION, "", node(f"n{number:04}"))

    async def compact(request: web.Request) -> None:
        if "continue" in request.query:
            server.interceptors.clear()
            server.store.delete(COLLECTION, "", "n0000")
            server.store.compact()

    server.interceptors.append(compact)
    async with watching(api, NODES) as seen:
        await seen.until(lambda seen: seen.synced)
    assert (len(seen.content), "n0000" in seen.content) == (PAGE_SIZE + 1, False)


async def test_a9_a_namesake_made_while_disconnected_is_another_object(api: Api, server: ApiServer) -> None:
    """A9: same name, other uid: first the old one goes, then the new one comes."""
    server.store.create(COLLECTION, "", node("a"))

    async def swap(request: web.Request) -> web.StreamResponse | None:
        if not is_watch(request):
            return None
        server.interceptors.clear()
        server.store.delete(COLLECTION, "", "a")
        server.store.create(COLLECTION, "", node("a"))
        server.store.compact()
        return web.Response()

    server.interceptors.append(swap)
    async with watching(api, NODES) as seen:
        await seen.until(lambda seen: seen.synced == 2)
    first, _, gone, second, _ = seen.events
    assert isinstance(first, Upsert)
    assert isinstance(gone, Delete)
    assert isinstance(second, Upsert)
    assert (gone.obj, second.obj["metadata"]["uid"]) == (first.obj, "uid-2")


async def test_a3_a_connection_without_bytes_is_given_up_and_nothing_is_missed(api: Api, server: ApiServer) -> None:
    """A3: half-open: headers came, then silence for ever."""

    async def silent(request: web.Request) -> web.StreamResponse | None:
        if not is_watch(request):
            return None
        server.interceptors.clear()
        response = web.StreamResponse()
        await response.prepare(request)
        server.store.create(COLLECTION, "", node("meanwhile"))
        await asyncio.sleep(3600)
        return response

    server.interceptors.append(silent)
    async with watching(api, NODES, timing=replace(FAST, silence_s=0.3)) as seen:
        await seen.until(lambda seen: seen.content)
    assert list(seen.content) == ["meanwhile"]
    assert seen.synced == 1


async def test_bookmarks_move_the_version_from_which_the_watch_resumes(api: Api, server: ApiServer) -> None:
    """A2: only a bookmark came; after a reconnect the watch goes on from there, without a list."""

    async def bookmark_and_end(request: web.Request) -> web.StreamResponse | None:
        if not is_watch(request):
            return None
        server.interceptors.clear()
        return web.Response(body=b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"777"}}}\n')

    server.interceptors.append(bookmark_and_end)
    async with watching(api, NODES) as seen:
        await server.until(lambda: len(server.asked("watch=true")) == 2)
    first, resumed = server.asked("watch=true")
    assert "resourceVersion=1&" in first
    assert "resourceVersion=777&" in resumed
    assert seen.synced == 1
