"""Reading a request's body within bounds of time, size and kind; what breaks a bound is refused with the right status."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from aiohttp import ClientPayloadError, web

from webhook.connections import Limits

_JSON: Final = "application/json"


class BodyError(Exception):
    """Why a request is answered with `status` and no more is read from its connection."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BodyReader:
    """Reads bodies; large ones only a few at a time, so that memory stays bounded however many peers send."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._large = asyncio.Semaphore(limits.large_at_once)

    async def read(self, request: web.BaseRequest) -> bytes:
        """Read all of it. Raises `BodyError`."""
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise BodyError(415, "compressed bodies are not taken; send the review as it is")
        if request.content_type != _JSON:
            raise BodyError(415, f"the body must be {_JSON}")
        size = request.content_length
        if size is not None and size > self._limits.body_bytes:
            raise BodyError(413, f"the body is larger than {self._limits.body_bytes} bytes")
        if request.content.is_eof():
            return request.content.read_nowait()  # came with its head, as most do: nothing to wait for
        try:
            async with asyncio.timeout(self._limits.body_s), self._admission(size):
                return await self._collect(request)
        except TimeoutError as error:
            raise BodyError(408, f"the body did not arrive within {self._limits.body_s:g} s") from error
        except (ClientPayloadError, web.RequestPayloadError, ConnectionError) as error:
            raise BodyError(400, "the body ended early") from error

    def _admission(self, size: int | None) -> AbstractAsyncContextManager[object]:
        large = size is None or size > self._limits.large_bytes
        return self._large if large else nullcontext()

    async def _collect(self, request: web.BaseRequest) -> bytes:
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > self._limits.body_bytes:
                raise BodyError(413, f"the body is larger than {self._limits.body_bytes} bytes")
        return bytes(body)
