"""The small HTTP server of each process: /healthz, /readyz and /metrics.

``healthz`` and ``readyz`` answer 200 ``ok``, or 503 with one reason a line, so that `kubectl describe` and a human with
curl see why. They are asked of callables that must be cheap and must not wait. Nothing here needs the API server:
a process whose API server is away is alive.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

log = logging.getLogger(__name__)

# What keeps the process from being ready or alive; empty when nothing does.
Reasons = Callable[[], Sequence[str]]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def none() -> Sequence[str]:
    """Give no reasons: always well."""
    return ()


@contextlib.asynccontextmanager
async def serve_health(
    *,
    host: str,
    port: int | None,
    registry: CollectorRegistry,
    ready: Reasons = none,
    alive: Reasons = none,
) -> AsyncIterator[str | None]:
    """Serve while the block runs; gives the URL in use, or None when ``port`` is None."""
    if port is None:
        yield None
        return
    app = web.Application()
    app.router.add_get("/healthz", _probe(alive))
    app.router.add_get("/readyz", _probe(ready))
    app.router.add_get("/metrics", _metrics(registry))
    # A probe that is cut short at shutdown loses nothing.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        url = _url(host, runner)
        log.info("health and metrics", extra={"url": url})
        yield url
    finally:
        await runner.cleanup()


def _probe(reasons: Reasons) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        if found := reasons():
            return web.Response(status=503, text="\n".join(found) + "\n")
        return web.Response(text="ok\n")

    return answer


def _metrics(registry: CollectorRegistry) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return answer


def _url(host: str, runner: web.AppRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
