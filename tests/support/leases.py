"""Leases behind a bad network, on virtual time: for elections that go wrong in every way that a network knows.

A `Wire` is one candidate's way to the common store. It satisfies what an election asks of the API, with the API
server's own rules for versions, and may lose, delay or refuse whatever passes it.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kube.errors import ApiError, Unavailable, from_status
from kube.resource import Resource
from tests.support.objectstore import JsonObject, ObjectStore, StatusError

COLLECTION = "apis/coordination.k8s.io/v1/leases"


@dataclass
class Wire:
    """One candidate's connection; ``trouble`` is the share of calls that go wrong, ``dead`` lets none through."""

    store: ObjectStore
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    trouble: float = 0.0
    dead: bool = False
    answer_s: float = 0.0  # what the way back takes, beyond the usual
    asked_s: list[float] = field(default_factory=list)
    _late: set[asyncio.Task[None]] = field(default_factory=set)

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, timeout_s: float = 10
    ) -> JsonObject:
        """Read the Lease."""
        del resource
        return await self._pass(lambda: self.store.get(COLLECTION, namespace or "", name), timeout_s)

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], *, namespace: str | None = None, timeout_s: float = 10
    ) -> JsonObject:
        """Create the Lease."""
        del resource
        return await self._pass(lambda: self.store.create(COLLECTION, namespace or "", obj), timeout_s)

    async def replace(
        self, resource: Resource, obj: Mapping[str, Any], *, subresource: str | None = None, timeout_s: float = 10
    ) -> JsonObject:
        """Write the Lease over the version in it."""
        del resource, subresource
        metadata = obj["metadata"]
        where = (COLLECTION, metadata["namespace"], metadata["name"])
        return await self._pass(lambda: self.store.update(*where, obj), timeout_s)

    async def _pass(self, act: Callable[[], JsonObject], timeout_s: float) -> JsonObject:
        self.asked_s.append(asyncio.get_running_loop().time())
        fault = "hang" if self.dead else self._draw()
        match fault:
            case "refused":
                raise Unavailable("call", message="connection refused")
            case "busy":
                raise Unavailable("call", status=503, retry_after_s=1)
            case "hang":
                await asyncio.sleep(timeout_s)
                raise Unavailable("call", message="no answer")
            case "answer lost":
                await asyncio.sleep(self.rng.uniform(0, timeout_s))
                _quietly(act)
                await asyncio.sleep(timeout_s)
                raise Unavailable("call", message="no answer")
            case "arrives late":
                self._late.add(asyncio.create_task(self._later(act, self.rng.uniform(0, 30))))
                await asyncio.sleep(timeout_s)
                raise Unavailable("call", message="no answer")
            case "conflict":
                raise from_status("call", {"code": 409, "reason": "Conflict"})
        await asyncio.sleep(self.rng.uniform(0, 0.05))
        try:
            answer = act()
        except StatusError as error:
            raise _as_api_error(error) from error
        # The way back may be slow, too.
        await asyncio.sleep(self.answer_s + self.rng.uniform(0, 0.05 if fault == "" else 0.9 * timeout_s))
        return answer

    def _draw(self) -> str:
        if self.rng.random() >= self.trouble:
            return ""
        return self.rng.choice(["refused", "busy", "hang", "answer lost", "arrives late", "conflict", "slow"])

    async def _later(self, act: Callable[[], JsonObject], delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        _quietly(act)


def _quietly(act: Callable[[], JsonObject]) -> None:
    try:
        act()
    except StatusError:
        return


def _as_api_error(error: StatusError) -> ApiError:
    return from_status("call", error.body)
