"""A4: Retry-After is obeyed, within the call's deadline, and holds up nobody else."""

import asyncio
import time

import pytest
from aiohttp import web

from kube.client import TIMEOUT_S, Api
from kube.errors import Unavailable
from kube.resource import NODES
from tests.support.apiserver import ApiServer, Interceptor


def refuse(times: int, *, status: int, after: str, path: str = "/api/v1/nodes/busy") -> Interceptor:
    left = times

    async def fault(request: web.Request) -> web.StreamResponse | None:
        nonlocal left
        if request.path != path or left == 0:
            return None
        left -= 1
        return web.Response(status=status, headers={"Retry-After": after})

    return fault


@pytest.mark.parametrize("status", [429, 503])
async def test_the_call_waits_as_told_and_succeeds(api: Api, server: ApiServer, status: int) -> None:
    server.store.create("api/v1/nodes", "", {"metadata": {"name": "busy"}})
    server.interceptors.append(refuse(1, status=status, after="1"))
    began = time.monotonic()
    assert (await api.get(NODES, "busy"))["metadata"]["name"] == "busy"
    assert 1.0 <= time.monotonic() - began < TIMEOUT_S


async def test_a_wait_beyond_the_deadline_is_the_callers_at_once(api: Api, server: ApiServer) -> None:
    server.interceptors.append(refuse(100, status=429, after="60"))
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await api.get(NODES, "busy")
    assert caught.value.retry_after_s == 60
    assert time.monotonic() - began < TIMEOUT_S / 2  # neither the 60 s nor the deadline


async def test_retry_after_zero_is_no_spin(api: Api, server: ApiServer) -> None:
    server.interceptors.append(refuse(10_000, status=429, after="0"))
    with pytest.raises(Unavailable):
        await api.get(NODES, "busy", timeout_s=1.0)
    assert len(server.requests) <= 11


async def test_other_calls_go_on_meanwhile(api: Api, server: ApiServer) -> None:
    for name in ("busy", "free"):
        server.store.create("api/v1/nodes", "", {"metadata": {"name": name}})
    server.interceptors.append(refuse(1, status=429, after="8"))
    waiting = asyncio.create_task(api.get(NODES, "busy"))
    for _ in range(20):
        await api.get(NODES, "free")
    assert "/api/v1/nodes/busy" in {path for _, path in server.requests}
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
