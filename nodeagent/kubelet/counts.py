"""The Node's true counts: `nvidia.com/mig-*` in capacity and allocatable, patched as soon as they change.

The kubelet publishes a changed count up to 10 s later, and while a device is being taken away, or after a restart, it writes an
older one over ours. So the present count is patched at once, and again whenever the Node shows another. The comparison is pure;
`CountPublisher` adds the writing, with back-off against somebody who writes back as fast as we do. It never touches another key.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kube.errors import ApiError, Forbidden, Invalid
from mig.profiles import is_mig_resource
from nodeagent.pulse import Pulse

log = logging.getLogger(__name__)

FIGHT_S = (0.0, 0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before writing the same thing again and again. The kubelet reverts once in 10 s at most, which never waits."""

FIGHT_OVER_S = 6.0
"""A repetition after such a quiet time is no fight."""

RETRY_S = (0.25, 0.5, 1.0, 2.0, 5.0)
REFUSED_RETRY_S = 30.0
"""Rights do not come back by themselves; a chart's upgrade brings them."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers by resource name. A resource that is missing in one of the two is left to the kubelet there."""

    capacity: Mapping[str, int] = field(default_factory=dict)
    allocatable: Mapping[str, int] = field(default_factory=dict)


NOTHING = Counts()


def counts_of(node: Mapping[str, Any]) -> Counts:
    """Read our keys from a Node's status."""
    status = node.get("status") or {}
    return Counts(capacity=_numbers(status.get("capacity")), allocatable=_numbers(status.get("allocatable")))


def _numbers(quantities: object) -> dict[str, int]:
    """Whole numbers of our resources; one that is written otherwise (`1k`) counts as missing, so that it is written anew."""
    if not isinstance(quantities, Mapping):
        return {}
    ours = {name: str(value) for name, value in quantities.items() if is_mig_resource(name)}
    return {name: int(value) for name, value in ours.items() if value.isdecimal()}


def difference(wanted: Counts, shown: Counts) -> dict[str, Any] | None:
    """The merge patch of the Node that makes it show what is wanted; None where it does."""
    status = {
        part: {name: str(count) for name, count in want.items() if have.get(name) != count}
        for part, want, have in (
            ("capacity", wanted.capacity, shown.capacity),
            ("allocatable", wanted.allocatable, shown.allocatable),
        )
    }
    changed = {part: counts for part, counts in status.items() if counts}
    return {"status": changed} if changed else None


def version_of(obj: Mapping[str, Any]) -> int:
    """The resourceVersion as a number, by which versions of one object compare; 0 where it is none."""
    version = str((obj.get("metadata") or {}).get("resourceVersion") or "")
    return int(version) if version.isdecimal() else 0


class CountPublisher:
    """Makes the Node show `wanted()`. Tell it about changes by `nudge`, and about each version of the Node by `node_seen`."""

    def __init__(
        self,
        *,
        wanted: Callable[[], Counts],
        patch_status: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.trouble: str | None = None
        self.patches = 0
        self.shown = NOTHING
        self._wanted = wanted
        self._patch_status = patch_status
        self._clock = clock
        self._on_change = on_change
        self._pulse = Pulse()
        self._version = 0
        self._last_patch: dict[str, Any] | None = None
        self._last_patch_at = float("-inf")
        self._repeated = 0
        self._failures = 0
        self._not_before = float("-inf")

    def nudge(self) -> None:
        """What is wanted may have changed."""
        self._pulse.fire()

    def node_seen(self, node: Mapping[str, Any]) -> None:
        """Take in a version of our Node; an older one than known is ignored (a watch lags behind our own writes)."""
        version = version_of(node)
        if 0 < version < self._version:
            return
        self._version = version
        shown = counts_of(node)
        if shown != self.shown:
            self.shown = shown
            self._pulse.fire()
            self._on_change()

    def published(self, resource: str) -> bool:
        """Whether the newest known version of the Node shows the present counts of this resource."""
        wanted = self._wanted()
        return (
            resource in wanted.allocatable
            and self.shown.allocatable.get(resource) == wanted.allocatable[resource]
            and self.shown.capacity.get(resource) == wanted.capacity.get(resource, self.shown.capacity.get(resource))
        )

    async def wait_published(self, resource: str) -> None:
        """Return once `published` holds; bound it from outside."""
        while True:
            seen = self._pulse.count
            if self.published(resource):
                return
            await self._pulse.beyond(seen)

    async def run(self) -> None:
        """Patch whenever wanted and shown differ. Eternal."""
        while True:
            seen = self._pulse.count
            patch = difference(self._wanted(), self.shown)
            if patch is None:
                await self._pulse.beyond(seen)
                continue
            wait = self._due(patch) - self._clock()
            if wait > 0:
                await self._pulse.beyond_or_after(seen, wait)
                continue
            await self._write(patch)

    def _due(self, patch: dict[str, Any]) -> float:
        """When this patch may be sent, by our clock."""
        now = self._clock()
        if patch != self._last_patch or now - self._last_patch_at > FIGHT_OVER_S:
            self._repeated = 0
        pause = FIGHT_S[min(self._repeated, len(FIGHT_S) - 1)]
        return max(self._last_patch_at + pause, self._not_before)

    async def _write(self, patch: dict[str, Any]) -> None:
        self._last_patch, self._last_patch_at = patch, self._clock()
        self._repeated += 1
        self.patches += 1
        try:
            node = await self._patch_status(patch)
        except ApiError as error:
            self._failed(error)
            return
        self._failures = 0
        self.trouble = None
        self.node_seen(node)

    def _failed(self, error: ApiError) -> None:
        refused = isinstance(error, Forbidden | Invalid)
        pause = REFUSED_RETRY_S if refused else RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        self._not_before = self._clock() + pause
        todo = "check the rights of the agent's ServiceAccount on nodes/status" if refused else "trying again"
        trouble = f"cannot publish the number of MIG slices in the Node's status ({error}); {todo}"
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
        self._on_change()
