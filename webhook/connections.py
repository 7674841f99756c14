"""How long and how many strangers may hold a connection: the bounds that aiohttp's server leaves to its user.

A connection that has not sent a whole request head within `Limits.head_s` is cut, one more than `Limits.connections` is
not taken. After its first request a connection may idle for `Limits.idle_s`, longer than an API server keeps one.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer may use; times in seconds, sizes in bytes."""

    handshake_s: float = 5.0
    head_s: float = 5.0
    body_s: float = 5.0
    idle_s: float = 120.0  # an API server closes after 90 s, and the one who sends should be the one who closes
    connections: int = 4096
    body_bytes: int = 3 * 1024 * 1024  # the API server takes no larger request
    large_bytes: int = 256 * 1024  # bodies above this, or of unknown size, are read `large_at_once` at a time
    large_at_once: int = 8
    finish_s: float = 10.0  # for requests in flight at shutdown


class BoundedServer(web.Server):
    """aiohttp's low-level server with a deadline on the first request's head and a bound on connections."""

    def __init__(self, handler: Any, *, limits: Limits) -> None:
        super().__init__(
            handler,
            auto_decompress=False,
            keepalive_timeout=limits.idle_s,
            lingering_time=1.0,
            access_log=None,
        )
        self._limits = limits
        self._waiting: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._in_flight = 0
        self._quiet = asyncio.Event()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """A peer has finished its handshake."""
        super().connection_made(handler, transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._waiting[handler] = loop.call_later(self._limits.head_s, self._give_up, handler, transport)
        self._note()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """A peer is gone."""
        self._waits_no_more(handler)
        super().connection_lost(handler, exc)

    @contextlib.contextmanager
    def busy(self, handler: web.RequestHandler) -> Iterator[None]:
        """Mark a request as under way while the block runs: its head is complete, so its peer does not merely hold on."""
        self._in_flight += 1
        self._waits_no_more(handler)
        try:
            yield
        finally:
            self._in_flight -= 1
            self._note()

    async def quiet(self) -> None:
        """Wait until no request is under way and no fresh connection has its first request still to send."""
        self._note()
        await self._quiet.wait()

    def _waits_no_more(self, handler: web.RequestHandler) -> None:
        if (timer := self._waiting.pop(handler, None)) is not None:
            timer.cancel()
        self._note()

    def _give_up(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._waits_no_more(handler)
        transport.abort()

    def _note(self) -> None:
        if self._in_flight or self._waiting:
            self._quiet.clear()
        else:
            self._quiet.set()
