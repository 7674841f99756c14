"""Every call ends by its deadline, whoever does not answer."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import web

from kube.client import TIMEOUT_S, Api
from kube.errors import Unavailable
from kube.resource import NODES
from tests.support.apiserver import ApiServer, Interceptor


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def hang_after_headers(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(3600)
    return response


@pytest.mark.parametrize("fault", [hang, hang_after_headers])
async def test_a_server_that_hangs_costs_no_more_than_the_deadline(
    api: Api, server: ApiServer, fault: Interceptor
) -> None:
    server.interceptors.append(fault)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"none within 0\.2 s"):
        await api.get(NODES, "n", timeout_s=0.2)
    assert time.monotonic() - began < TIMEOUT_S


async def test_a_refused_connection_is_unavailable_at_once(tmp_path: Path) -> None:
    nobody = ApiServer(url="http://127.0.0.1:1")
    began = time.monotonic()
    async with nobody.connect(nobody.kubeconfig(tmp_path / "kubeconfig")) as api:
        with pytest.raises(Unavailable, match="no answer"):
            await api.get(NODES, "n")
    assert time.monotonic() - began < TIMEOUT_S
