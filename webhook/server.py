"""Listens for admission reviews: `POST /mutate` over TLS, nothing else.

It promises an answer to every review that arrives whole, bounded time and memory whatever peers send, and an end in order:
while it drains, readiness is off but new connections are still taken, and each answer asks its peer to connect anew
elsewhere. It holds no state between requests.
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from webhook.body import BodyError, BodyReader
from webhook.connections import BoundedServer, Limits
from webhook.metrics import Metrics
from webhook.review import Review, ReviewError, answer, read_review
from webhook.shape import shown
from webhook.verdict import Denied, Verdict, verdict

log = logging.getLogger(__name__)

_LOGGED = (("namespace", "namespace"), ("pod", "name"))
"""Field of a log line and of the review that fills it; `name` is taken by the log record itself."""

PATH: Final = "/mutate"
_BACKLOG: Final = 1024
_TLS_CLOSE_S: Final = 2.0
LIMITS: Final = Limits()


class ReviewServer:
    """The webhook's HTTP side."""

    def __init__(
        self, metrics: Metrics, *, limits: Limits = LIMITS, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._metrics = metrics
        self._limits = limits
        self._clock = clock
        self._reader = BodyReader(limits)
        self._server: BoundedServer | None = None
        self.draining = False

    @contextlib.asynccontextmanager
    async def listening(
        self, *, host: str, port: int, context: ssl.SSLContext, drain_s: float = 0.0
    ) -> AsyncIterator[int]:
        """Serve while the block runs, and give the port in use; afterwards drain for `drain_s`, then finish what is in flight."""
        self._server = BoundedServer(self._handle, limits=self._limits)
        runner = web.ServerRunner(self._server, shutdown_timeout=self._limits.finish_s)
        await runner.setup()
        listener = await asyncio.get_running_loop().create_server(
            self._server,
            host,
            port,
            ssl=context,
            backlog=_BACKLOG,
            ssl_handshake_timeout=self._limits.handshake_s,
            ssl_shutdown_timeout=_TLS_CLOSE_S,
        )
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            self.draining = True
            try:
                await asyncio.sleep(drain_s)
                listener.close()
                await self._finish(self._server)
            finally:
                listener.close()
                await runner.cleanup()

    async def _finish(self, server: BoundedServer) -> None:
        """Wait for what is under way: aiohttp's own clean-up would throw the rest of a half-sent body away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.finish_s):
                await server.quiet()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        assert self._server is not None
        with self._server.busy(request.protocol):
            response = await self._answer(request)
        if self.draining:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.path != PATH:
            return web.Response(status=404, text=f"only {PATH} is served here\n")
        if request.method != "POST":
            return web.Response(status=405, text="send reviews by POST\n", headers={"Allow": "POST"})
        began = self._clock()
        try:
            review = read_review(await self._reader.read(request))
        except BodyError as error:
            return self._malformed(error.status, str(error), close=True)
        except ReviewError as error:
            return self._malformed(400, str(error), close=False)
        judged = verdict(review.request)
        self._count(review, judged)
        response = web.Response(body=answer(review, judged), content_type="application/json")
        self._metrics.seconds.observe(self._clock() - began)
        return response

    def _malformed(self, status: int, message: str, *, close: bool) -> web.Response:
        self._metrics.reviews.labels("malformed", "false").inc()
        log.info("no review", extra={"status": status, "why": message})
        response = web.Response(status=status, text=f"{message}\n")
        if close:
            response.force_close()
        return response

    def _count(self, review: Review, judged: Verdict) -> None:
        denied = isinstance(judged, Denied)
        self._metrics.reviews.labels("denied" if denied else "allowed", str(review.dry_run).lower()).inc()
        if isinstance(judged, Denied):
            extra = {field: shown(review.request.get(key)) for field, key in _LOGGED}
            log.info("denied", extra={**extra, "why": ascii(judged.message)})
