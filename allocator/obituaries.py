"""Tells a Pod that the kubelet failed that its slices were released, and why it failed.

A claim goes with its Pod, which is no news where the Pod did what it was to do. One that the kubelet would not run (after a reboot,
say, or for want of a device) deserves a word: where its slice is, and what to do. The rounds know only that it is gone, so that it
is asked for here, once, beside the rounds and never in their way. Nothing depends on it; where many end at once some go untold.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from allocator.announce import Emit
from allocator.view import Spot
from kube.errors import ApiError
from kube.events import ObjectRef
from kube.resource import PODS, Resource

log = logging.getLogger(__name__)

WAITING_AT_MOST: Final = 1000
"""Pods to be asked for. A node holds some 56 slices at most, so this is a room full of nodes that reboot at once."""

ASK_S: Final = 5.0


class Gets(Protocol):
    """The one call that is made; `kube.client.Api` has it."""

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, timeout_s: float = ...
    ) -> dict[str, Any]:
        """Read one object."""


class Obituaries:
    """Note released claims; `run` tells."""

    def __init__(self, api: Gets, emit: Emit) -> None:
        self._api = api
        self._emit = emit
        self._waiting: asyncio.Queue[tuple[Spot, ...]] = asyncio.Queue(WAITING_AT_MOST)

    def released(self, spots: Iterable[Spot]) -> None:
        """These claims of Pods that have ended are gone from the API server."""
        by_pod: defaultdict[str, list[Spot]] = defaultdict(list)
        for spot in spots:
            by_pod[spot.claim.uid].append(spot)
        for items in by_pod.values():
            if not self._waiting.full():
                self._waiting.put_nowait(tuple(items))

    async def run(self) -> None:
        """Eternal."""
        while True:
            await self.tell_next()

    async def tell_next(self) -> None:
        """Tell one Pod, if there is something to be told."""
        spots = await self._waiting.get()
        claim = spots[0].claim
        try:
            pod = await self._api.get(PODS, claim.pod, namespace=claim.namespace, timeout_s=ASK_S)
        except ApiError as error:
            log.debug("a released claim's Pod is not told: %s", error)
            return
        if pod["metadata"]["uid"] == claim.uid and (why := failed_by_the_kubelet(pod)):
            self._emit(
                ObjectRef("v1", "Pod", claim.pod, claim.namespace, claim.uid),
                warning=True,
                reason="MigReleased",
                action="Release",
                note=f"{_places(spots)} released, since the kubelet failed the Pod ({why}); its controller makes a new one, and a "
                "Pod without a controller has to be created again",
            )


def failed_by_the_kubelet(pod: Mapping[str, Any]) -> str:
    """Why the kubelet failed it, empty where it did not: a Pod that failed by its containers has no reason of its own."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed" or not status.get("reason"):
        return ""
    return f"{status['reason']}: {status.get('message') or 'no message'}"


def _places(spots: tuple[Spot, ...]) -> str:
    places = ", ".join(f"{item.placed.profile} at {item.placed.window.start} of {item.gpu}" for item in spots)
    return f"slice{'s' if len(spots) > 1 else ''} {places} on {spots[0].node} {'were' if len(spots) > 1 else 'was'}"
