"""`Api`: reading and writing single objects and lists, as plain dicts.

Each method is one request with one deadline; objects go in and come out as JSON objects, untouched. There are no
typed models, no cache and no hidden repetition beyond Retry-After: whoever writes decides what to do about a
`Conflict`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kube import credentials
from kube.errors import Conflict, Invalid
from kube.resource import Resource
from kube.transport import JsonObject, Request, Transport

# Seconds for one call, unless the caller says otherwise.
TIMEOUT_S = 10.0

# Objects a page: keeps the longest decoding stall near 0.1 s with Pods.
PAGE_SIZE = 500

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

# Objects, and the resourceVersion at which the collection held them.
Listing = tuple[list[JsonObject], str]


class Api:
    """The API server. Get one with `Api.connect`; it may be shared by all tasks of a process."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path | None = None, *, user_agent: str) -> AsyncIterator["Api"]:
        """Open a connection pool: ``async with Api.connect(path, user_agent="nos-mig-allocator/0.1") as api``.

        Sends nothing yet. Raises `ConfigError` when no API server is configured.
        """
        transport = Transport(await credentials.load(kubeconfig), user_agent=user_agent)
        try:
            yield cls(transport)
        finally:
            await transport.close()

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> JsonObject:
        """Read one object."""
        request = Request("GET", resource.path(namespace=namespace, name=name))
        return await self.transport.call(request, timeout_s=timeout_s)

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Listing:
        """Read all objects, and the resourceVersion at which they were so. ``timeout_s`` is for each page."""
        items: list[JsonObject] = []
        version = ""
        pages = self.pages(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            timeout_s=timeout_s,
        )
        async for page, at_version in pages:
            items += page
            version = at_version
        return items, version

    async def pages(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> AsyncGenerator[Listing, None]:
        """Read all objects page by page, each page with the list's resourceVersion.

        Raises `Expired` when the server forgot the list's version before its last page: start again.
        """
        query = selection(label_selector, field_selector)
        token = ""
        while True:
            paging = (("limit", str(PAGE_SIZE)), *((("continue", token),) if token else ()))
            request = Request("GET", resource.path(namespace=namespace), query=query + paging)
            page = await self.transport.call(request, timeout_s=timeout_s)
            metadata = page.get("metadata") or {}
            yield page.get("items") or [], str(metadata.get("resourceVersion") or "")
            token = metadata.get("continue") or ""
            if not token:
                return

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], *, namespace: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> JsonObject:
        """Create an object; its own namespace counts when none is given. Raises `AlreadyExists`."""
        path = resource.path(namespace=namespace or _namespace(obj))
        return await self.transport.call(Request("POST", path, body=obj), timeout_s=timeout_s)

    async def replace(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        subresource: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> JsonObject:
        """Write an object as a whole; with its resourceVersion in it, only over the version that was read."""
        path = resource.path(namespace=_namespace(obj), name=obj["metadata"]["name"], subresource=subresource)
        return await self.transport.call(Request("PUT", path, body=obj), timeout_s=timeout_s)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Delete one object; with ``uid`` or ``resource_version`` only that very one, else `Conflict`."""
        given = {"uid": uid, "resourceVersion": resource_version}
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions := {key: value for key, value in given.items() if value is not None}:
            options["preconditions"] = preconditions
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        path = resource.path(namespace=namespace, name=name)
        await self.transport.call(Request("DELETE", path, body=options), timeout_s=timeout_s)

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> JsonObject:
        """Merge ``patch`` into the object; null removes a key, lists are replaced."""
        path = resource.path(namespace=namespace, name=name, subresource=subresource)
        request = Request("PATCH", path, body=patch, content_type=MERGE_PATCH)
        return await self.transport.call(request, timeout_s=timeout_s)

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> JsonObject:
        """Apply JSON-patch operations. A failed ``test``, or a path that went away, is a `Conflict`."""
        path = resource.path(namespace=namespace, name=name, subresource=subresource)
        request = Request("PATCH", path, body=list(operations), content_type=JSON_PATCH)
        try:
            return await self.transport.call(request, timeout_s=timeout_s)
        except Invalid as error:
            if _patch_did_not_apply(error) and any(operation["op"] == "test" for operation in operations):
                raise Conflict(
                    error.what, status=error.status, reason="TestFailed", message=error.message, body=error.body
                ) from error
            raise

    async def apply(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> JsonObject:
        """Server-side apply: create or update just the fields in ``obj``; without ``force`` others' are a Conflict."""
        path = resource.path(namespace=_namespace(obj), name=obj["metadata"]["name"], subresource=subresource)
        query = (("fieldManager", field_manager), ("force", "true" if force else "false"))
        request = Request("PATCH", path, query=query, body=obj, content_type=APPLY_PATCH)
        return await self.transport.call(request, timeout_s=timeout_s)


def selection(label_selector: str | None, field_selector: str | None) -> tuple[tuple[str, str], ...]:
    """Give the query parameters that select objects."""
    given = (("labelSelector", label_selector), ("fieldSelector", field_selector))
    return tuple((key, value) for key, value in given if value is not None)


def _namespace(obj: Mapping[str, Any]) -> str | None:
    namespace = obj["metadata"].get("namespace")
    return None if namespace is None else str(namespace)


def _patch_did_not_apply(error: Invalid) -> bool:
    """Tell a patch that did not apply from an object that broke a rule: only the latter's answer names causes."""
    details = error.body.get("details")
    return error.status == 422 and not (isinstance(details, dict) and details.get("causes"))
