"""A2, A10: whatever a server answers at once, a watch asks at most once a second in the mean, and spreads its tries."""

import itertools

import pytest
from aiohttp import web

from kube.backoff import Backoff
from kube.client import Api
from kube.listwatch import Timing
from kube.resource import NODES
from tests.support.apiserver import ApiServer
from tests.support.watching import watching

# Production's back-off; sleeping is virtual, so that a minute of tries takes none.
TIMING = Timing()
HTML = b"<html><body>502 Bad Gateway</body></html>\n"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, HTML),
        (200, b'{"type":"ADDED","object":{"metada'),
        (200, b'{"type":"ADDED","object":"text"}\n'),
        (200, b'{"type":"REPLACED","object":{"metadata":{"name":"a"}}}\n'),
        (200, b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'),
        (200, b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n'),
        (200, b'["a list"]\n'),
        (200, b"[" * 50_000 + b"\n"),
        (502, HTML),
        (503, b""),
        (403, b"{}"),
        (410, b""),
        (429, b""),
    ],
)
async def test_a2_at_most_one_request_a_second_and_never_an_event(
    api: Api, server: ApiServer, status: int, body: bytes
) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=status, body=body) if request.query.get("watch") == "true" else None

    server.interceptors.append(fault)
    async with watching(api, NODES, timing=TIMING, real_pauses=False) as seen:
        await seen.until(lambda seen: len(seen.pauses) == 12)
    assert seen.content == {}
    assert len(server.requests) <= sum(seen.pauses) + 2
    assert max(seen.pauses) <= 1.5 * TIMING.backoff_cap_s


async def test_a_refused_list_is_retried_as_gently(api: Api, server: ApiServer) -> None:
    async def fault(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    server.interceptors.append(fault)
    async with watching(api, NODES, timing=TIMING, real_pauses=False) as seen:
        await seen.until(lambda seen: len(seen.pauses) == 12)
    assert len(server.requests) <= sum(seen.pauses) + 2


async def test_retry_after_of_a_watch_is_obeyed(api: Api, server: ApiServer) -> None:
    """A4 for the endless loop: the server's wish is the least that it waits."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if request.query.get("watch") == "true":
            return web.Response(status=429, headers={"Retry-After": "45"})
        return None

    server.interceptors.append(fault)
    async with watching(api, NODES, timing=TIMING, real_pauses=False) as seen:
        await seen.until(lambda seen: len(seen.pauses) == 3)
    assert min(seen.pauses) >= 45


def test_delays_grow_to_their_cap_and_start_over_after_success() -> None:
    backoff = Backoff(first_s=1, cap_s=10, jitter=lambda: 0.5)
    assert [backoff.failed() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.succeeded()
    assert backoff.failed() == 1


def test_a10_those_who_failed_together_come_back_spread_over_the_whole_delay() -> None:
    low, high = (Backoff(first_s=1, jitter=itertools.repeat(chance).__next__).failed() for chance in (0.0, 0.999))
    assert (low, round(high, 1)) == (0.5, 1.5)


def test_days_of_failures_do_not_overflow() -> None:
    backoff = Backoff()
    for _ in range(10_000):
        delay = backoff.failed()
    assert 5 <= delay <= 15
