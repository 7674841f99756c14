"""When the slices of each node are expected to end: kept as Pods and MigSpecs come and go, so that a round need not look.

The end of a Pod that runs is its start and what it declares. One that has not started is taken to start when its slice was
reserved, as far as this process saw: what it waited for a place before is no part of its life. An end stays the same number
while time goes by, also when it has passed: a Pod that outlives its declaration is expected to end any moment. Pods that declare
nothing have no end here, and cost next to nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from allocator.pods import MigPod, Pod
from mig.migspec import MigSpec

Ends = Mapping[str, float]
"""Pod uid → when it is expected to end, in seconds since the epoch."""

NO_ENDS: Final[Ends] = {}

_Home = tuple[str, float]
"""A node, and since when slices are claimed there."""


class _Life(NamedTuple):
    """What a Pod declares: how many seconds it lasts, and when it started, if it has."""

    uid: str
    lasts: float
    started: float | None


class Lifetimes:
    """What Pods declare, and since when they claim slices where. `wall` gives seconds since the epoch."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._lives: dict[str, _Life] = {}
        self._homes: dict[str, tuple[_Home, ...]] = {}
        """By uid, hardly ever more than one. Of every Pod: it may come to declare a lifetime later."""

    def pod_changed(self, old: Pod | None, new: Pod | None) -> tuple[str, ...]:
        """Take in a Pod's change; gives the nodes on which ends are others now."""
        before, after = _life(old), _life(new)
        if before == after:
            return ()
        uids = {life.uid for life in (before, after) if life is not None}
        for uid in uids:
            self._lives.pop(uid, None)
        if after is not None:
            self._lives[after.uid] = after
        return tuple(node for uid in uids for node, _ in self._homes.get(uid, ()))

    def spec_changed(self, before: MigSpec | None, after: MigSpec | None) -> None:
        """Take in a MigSpec's change: who claims slices there from now on."""
        if before and after and (before.uid, before.generation) == (after.uid, after.generation):
            return
        left, here = _claimants(before), _claimants(after)
        if before is not None:
            for uid in left - here:
                self._leave(uid, before.name)
        if after is not None and not here <= left:
            now = self._wall()
            for uid in here - left:
                self._homes[uid] = (*self._homes.get(uid, ()), (after.name, now))

    def _leave(self, uid: str, node: str) -> None:
        rest = tuple(home for home in self._homes[uid] if home[0] != node)
        if rest:
            self._homes[uid] = rest
        else:
            del self._homes[uid]

    def ends(self, migspec: MigSpec) -> Ends:
        """When the Pods that claim slices there are expected to end, of those that declare it."""
        if not self._lives:
            return NO_ENDS
        known = {uid: self._end(uid, migspec.name) for uid in _claimants(migspec) if uid in self._lives}
        return known or NO_ENDS

    def _end(self, uid: str, node: str) -> float:
        life = self._lives[uid]
        if life.started is not None:
            return life.started + life.lasts
        return next(since for home, since in self._homes[uid] if home == node) + life.lasts


def _life(pod: Pod | None) -> _Life | None:
    if not isinstance(pod, MigPod) or pod.wish.lasts is None:
        return None
    return _Life(pod.uid, pod.wish.lasts, pod.started)


def _claimants(migspec: MigSpec | None) -> set[str]:
    return {claim.uid for _, _, claim in migspec.spec.claims()} if migspec is not None else set()
