"""A model API server on a real socket: real HTTP, real streams, and faults where a test wants them.

``async with api_server() as server`` gives one; ``server.store`` is its content, ``server.connect()`` a client to it.
A fault is an *interceptor*: a coroutine that sees each request first and may answer it in any way it likes (or hang),
or return None to let it pass. Use the real control plane where the API server's own judgement matters.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from kube.client import Api
from kube.credentials import load
from kube.transport import Transport
from tests.support.objectstore import Change, JsonObject, ObjectStore, StatusError
from tests.support.patches import json_patch, merge

Interceptor = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass(frozen=True)
class Target:
    """A request's path, taken apart."""

    collection: str
    namespace: str
    name: str
    subresource: str

    @classmethod
    def of(cls, path: str) -> "Target":
        """Take a path apart."""
        parts = path.strip("/").split("/")
        size = 2 if parts[0] == "api" else 3
        group, rest = parts[:size], parts[size:]
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        rest += [""] * (3 - len(rest))
        return cls("/".join([*group, rest[0]]), namespace, rest[1], rest[2])


@dataclass
class ApiServer:
    """One running server."""

    url: str = ""
    store: ObjectStore = field(default_factory=ObjectStore)
    interceptors: list[Interceptor] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(method, path with query) of each request, in order."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _bookmarks: int = 0
    _transports: set[asyncio.Transport] = field(default_factory=set)

    def kubeconfig(self, path: Path, **user: Any) -> Path:
        """Write a kubeconfig for this server."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": user}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    @contextlib.asynccontextmanager
    async def connect(self, kubeconfig: Path) -> AsyncIterator[Api]:
        """Give a client with the credentials of a kubeconfig."""
        transport = Transport(await load(kubeconfig), user_agent="test")
        try:
            yield Api(transport)
        finally:
            await transport.close()

    async def notify(self) -> None:
        """Wake the watches after a change that was made directly in ``store``."""
        async with self._changed:
            self._changed.notify_all()

    def asked(self, text: str) -> list[str]:
        """Give the paths with query, in order, of the requests so far that contain a text."""
        return [path for _, path in self.requests if text in path]

    async def until(self, true: Callable[[], object], *, within_s: float = 5.0) -> None:
        """Wait until something holds; asked again after each request and each change."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(true)

    async def bookmark(self) -> None:
        """Send a bookmark on every open watch."""
        self._bookmarks += 1
        await self.notify()

    def cut_streams(self) -> None:
        """Break every open connection, as a server does that dies."""
        for transport in self._transports:
            transport.abort()
        self._transports.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append((request.method, request.raw_path))
        await self.notify()
        for interceptor in list(self.interceptors):
            if (answer := await interceptor(request)) is not None:
                return answer
        try:
            target = Target.of(request.path)
            if request.query.get("watch") == "true":
                return await self._watch(request, target)
            answer = web.json_response(self._answer(request, target, await request.read()))
        except StatusError as error:
            answer = web.json_response(error.body, status=error.code)
        await self.notify()
        return answer

    def _answer(self, request: web.Request, target: Target, body: bytes) -> JsonObject:
        where = (target.collection, target.namespace)
        sent: Any = json.loads(body) if body else {}
        match request.method:
            case "GET" if target.name:
                return self.store.get(*where, target.name)
            case "GET":
                return self._list(request, target)
            case "POST":
                return self.store.create(*where, sent)
            case "PUT":
                return self.store.update(*where, target.name, sent, subresource=target.subresource)
            case "PATCH":
                old = self.store.get(*where, target.name)
                patched = json_patch(old, sent) if request.content_type.startswith("application/json-p") else None
                new = merge(old, sent) if patched is None else patched
                return self.store.update(*where, target.name, new, subresource=target.subresource)
            case "DELETE":
                return self.store.delete(*where, target.name, sent.get("preconditions"))
        raise StatusError(405, "MethodNotAllowed")

    def _list(self, request: web.Request, target: Target) -> JsonObject:
        limit, start, version = int(request.query.get("limit", 10_000)), 0, self.store.version
        if token := request.query.get("continue"):
            start, version = (int(part) for part in token.split("@"))
            if version < self.store.compacted:
                raise StatusError(410, "Expired", "The provided continue parameter is too old")
        found = [obj for _, obj in sorted(self.store.collection(target.collection).items())]
        found = [obj for obj in found if _selected(obj, request, target)]
        metadata = {"resourceVersion": str(version)}
        if start + limit < len(found):
            metadata["continue"] = f"{start + limit}@{version}"
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start : start + limit]}

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        if since < self.store.compacted:
            raise StatusError(410, "Expired", f"too old resource version: {since}")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        self._transports.add(request.transport)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(int(request.query.get("timeoutSeconds", 1800))):
                await self._send_changes(request, target, response, since)
        return response

    async def _send_changes(
        self, request: web.Request, target: Target, response: web.StreamResponse, since: int
    ) -> None:
        bookmarks = self._bookmarks
        while True:
            for change in [change for change in self.store.history if change.version > since]:
                since = change.version
                if event := _event(change, request, target):
                    await response.write(json.dumps(event).encode() + b"\n")
            if bookmarks != self._bookmarks:
                bookmarks, since = self._bookmarks, self.store.version
                mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(since)}}}
                await response.write(json.dumps(mark).encode() + b"\n")
            async with self._changed:
                if self.store.version <= since and bookmarks == self._bookmarks:
                    await self._changed.wait()


def _event(change: Change, request: web.Request, target: Target) -> JsonObject | None:
    if change.collection != target.collection:
        return None
    before = change.before if change.before and _selected(change.before, request, target) else None
    after = change.after if change.after and _selected(change.after, request, target) else None
    if after is not None:
        return {"type": "ADDED" if before is None else "MODIFIED", "object": after}
    if before is None:
        return None
    gone = {**before, "metadata": {**before["metadata"], "resourceVersion": str(change.version)}}
    return {"type": "DELETED", "object": gone}


def _selected(obj: JsonObject, request: web.Request, target: Target) -> bool:
    """Apply the namespace, equality selectors of labels, and the field selectors that look at one path."""
    metadata = obj["metadata"]
    if target.namespace and metadata.get("namespace") != target.namespace:
        return False
    for term in filter(None, request.query.get("labelSelector", "").split(",")):
        key, _, value = term.partition("=")
        labels = metadata.get("labels", {})
        if key not in labels or (value and labels[key] != value.lstrip("=")):
            return False
    for term in filter(None, request.query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        found: Any = obj
        for part in path.removesuffix("!").split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        if (str(found) == value.lstrip("=")) == path.endswith("!"):
            return False
    return True


@contextlib.asynccontextmanager
async def api_server(*interceptors: Interceptor) -> AsyncIterator[ApiServer]:
    """Run a server on a free port of this machine."""
    server = ApiServer(interceptors=list(interceptors))
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.handle)
    # Hanging handlers are the point of some tests: they are cut off at the end, not waited for.
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
