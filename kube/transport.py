"""Sends requests and streams answers, over the `kubernetes` package's own HTTP client.

A `Request` is a value; this module gets it to the API server and turns whatever comes back into a dict or an
`ApiError`. It promises that each call ends by its deadline, that Retry-After is obeyed within it, and that a refused
token is read again once. It keeps no limiter across calls, so that one throttled loop holds up no other.
"""

import asyncio
import json
import random
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from kube.credentials import Credentials
from kube.errors import ApiError, Garbled, Unauthorized, Unavailable, from_response

JsonObject = dict[str, Any]

# Pause in seconds where the server asks for "Retry-After: 0".
MIN_PAUSE_S = 0.1

# A dead peer is noticed after 30 + 3 x 5 s, as with client-go's HTTP/2 pings.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}

# An aborted TLS transport frees its socket in callbacks of the next turns of the loop; whoever ends the loop may not cut them off.
_GOODBYE_TURNS = 3

# Deadlines are this module's own: aiohttp's would cut long watches and hide which call was meant.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: ``path`` is escaped already, ``query`` is not, ``body`` is what JSON becomes."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: object = None
    content_type: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class _RestClient(RESTClientObject):
    """The package's client with TCP keep-alive, so that a vanished peer does not hold a watch for hours."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=0, ssl=self.ssl_context, socket_factory=_keepalive_socket)


def _keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


class Transport:
    """One connection pool to one API server. Close it when done."""

    def __init__(
        self, credentials: Credentials, *, user_agent: str, jitter: Callable[[], float] = random.random
    ) -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._jitter = jitter
        rest = _RestClient(self._configuration)
        self._request: Callable[..., Awaitable[Any]] = rest.request
        self._close: Callable[[], Awaitable[None]] = rest.close

    @property
    def _configuration(self) -> Configuration:
        return self._credentials.configuration

    async def close(self) -> None:
        """Close all connections; open streams end with `Unavailable`."""
        await self._close()
        for _ in range(_GOODBYE_TURNS):
            await asyncio.sleep(0)

    async def call(self, request: Request, *, timeout_s: float) -> JsonObject:
        """Send a request and give the object that answers it, within ``timeout_s`` seconds in all."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                return await self._call_patiently(request, deadline)
        except TimeoutError as error:
            raise _no_answer(request, f"none within {timeout_s:g} s") from error

    async def stream(self, request: Request, *, open_s: float, silence_s: float) -> AsyncGenerator[bytes, None]:
        """Give the chunks of an endless answer.

        The first chunk is empty and says that the stream is open. ``open_s`` bounds the wait for it, ``silence_s``
        that for each next one. Ends when the server ends it.
        """
        try:
            async with asyncio.timeout(open_s):
                response = await self._send_authorized(request)
        except TimeoutError as error:
            raise _no_answer(request, f"no headers within {open_s:g} s") from error
        try:
            yield b""
            while chunk := await _next_chunk(request, response, silence_s):
                yield chunk
        finally:
            _hang_up(response)

    async def _call_patiently(self, request: Request, deadline: float) -> JsonObject:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._attempt(request)
            except Unavailable as error:
                if error.retry_after_s is None:
                    raise
                # Up to a quarter on top, so that those who were refused together do not come back together.
                pause = max(error.retry_after_s, MIN_PAUSE_S) * (1 + self._jitter() / 4)
                if loop.time() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)

    async def _attempt(self, request: Request) -> JsonObject:
        response = await self._send_authorized(request)
        try:
            body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _no_answer(request, f"the answer broke off: {_cause(error)}") from error
        finally:
            response.release()
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _not_kubernetes(request, response.status) from error
        if not isinstance(parsed, dict):
            raise _not_kubernetes(request, response.status)
        return parsed

    async def _send_authorized(self, request: Request) -> aiohttp.ClientResponse:
        authorization = self._credentials.authorization()
        try:
            return await self._send(request, authorization)
        except Unauthorized:
            if not await self._credentials.renew(authorization):
                raise
        return await self._send(request, self._credentials.authorization())

    async def _send(self, request: Request, authorization: str | None) -> aiohttp.ClientResponse:
        url = self._configuration.host + request.path
        if request.query:
            url += "?" + urlencode(request.query)
        headers = {"Accept": "application/json", "Content-Type": request.content_type, "User-Agent": self._user_agent}
        if authorization:
            headers["Authorization"] = authorization
        try:
            answer = await self._request(
                request.method, url, headers=headers, body=request.body, _request_timeout=_NO_TIMEOUT
            )
            response: aiohttp.ClientResponse = answer.response
            if response.status < 300:
                return response
            async with response:
                body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _no_answer(request, _cause(error)) from error
        raise from_response(str(request), status=response.status, headers=response.headers, body=body)


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Drop the connection of an unfinished stream at once: a TLS good-bye would wait for a server that still writes."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def _next_chunk(request: Request, response: aiohttp.ClientResponse, silence_s: float) -> bytes:
    """Give the next bytes, or none at the stream's end."""
    try:
        async with asyncio.timeout(silence_s):
            return await response.content.readany()
    except TimeoutError as error:
        raise _no_answer(request, f"the stream was silent for {silence_s:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise _no_answer(request, f"the stream broke off: {_cause(error)}") from error


def _no_answer(request: Request, message: str) -> ApiError:
    return Unavailable(str(request), message=message)


def _not_kubernetes(request: Request, status: int) -> ApiError:
    return Garbled(str(request), status=status, reason="NotJson", message="the answer is no Kubernetes object")


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
