"""Leader election on a Lease: at most one leads, and it knows when it no longer does.

`LeaseElection.lead` waits for the Lease, runs the work with its epoch, and renews beside it. What it promises:

* The work is cancelled ``renew_s`` after the last renewal that succeeded was *sent*; others may take over
  ``lease_s`` after they *saw* it. The difference is what the work has to stop in; if it does not, or if the whole
  process stood still, ``abort`` ends the process at the lease's end.
* Each term has an epoch greater than that of any term before: `leaseTransitions` + 1, and above ``floor_epoch()``,
  which finds the highest epoch in use, should the Lease have been deleted or tampered with.
* The Lease is released only after the work has stopped.

Only monotonic clocks judge. What it cannot promise: that a request which left in time also arrives in time. Writers
therefore put the epoch and a resourceVersion into what they write, and the API server refuses the stale.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from kube.leaserecord import LeaseRecord, LeaseWriter, Sighting
from kube.resource import LEASES, Resource
from kube.tasks import stopped, to_its_end

log = logging.getLogger(__name__)

JsonObject = dict[str, Any]


class LeadershipLost(Exception):
    """We led and no longer do; the work has stopped. Exit, or call `LeaseElection.lead` again."""


class LeaseStore(Protocol):
    """The three calls that an election needs; `kube.client.Api` has them."""

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, timeout_s: float = ...
    ) -> JsonObject:
        """Read one object."""

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], *, namespace: str | None = None, timeout_s: float = ...
    ) -> JsonObject:
        """Create one object."""

    async def replace(
        self, resource: Resource, obj: Mapping[str, Any], *, subresource: str | None = None, timeout_s: float = ...
    ) -> JsonObject:
        """Write one object over the version in it."""


def boot_clock() -> float:
    """Give seconds since boot. Unlike `time.monotonic` it goes on while the machine is suspended, as leases do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def end_process() -> None:
    """Leave at once: the work may still run, and another may lead from now on."""
    log.critical("the lease ended before the work did (the process was stopped, or the work hangs); leaving at once")
    os._exit(70)  # EX_SOFTWARE


@dataclass(slots=True)
class _Term:
    """Our time as leader; ``sent_s`` is when the last successful write of the Lease was sent."""

    epoch: int
    record: LeaseRecord
    sent_s: float


class LeaseElection:
    """One candidate. ``identity`` must be unique to this process: a restarted one is another candidate."""

    def __init__(
        self,
        api: LeaseStore,
        *,
        namespace: str,
        name: str,
        identity: str,
        floor_epoch: Callable[[], Awaitable[int]],
        lease_s: float = 15.0,
        renew_s: float = 10.0,
        retry_s: float = 2.0,
        annotations: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], float] = boot_clock,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
        abort: Callable[[], None] = end_process,
    ) -> None:
        if not 0 < retry_s < renew_s < lease_s:
            raise ValueError(f"lease times must rise: retry {retry_s} < renew {renew_s} < lease {lease_s} s")
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._floor_epoch = floor_epoch
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._retry_s = retry_s
        # Under half the renew deadline, so that one hanging request never costs the leadership.
        self._request_s = 0.45 * renew_s
        self._annotations = annotations
        self._clock = clock
        self._wall = wall
        self._jitter = jitter
        self._abort = abort
        self._writer = LeaseWriter(namespace=namespace, name=name, identity=identity, lease_s=lease_s)
        self._sighting: Sighting | None = None
        self._term: _Term | None = None
        self._highest = 0
        self.inherited: Mapping[str, str] = {}
        """The annotations that the Lease carried when we took it over: what the predecessor left for us."""

    @property
    def epoch(self) -> int | None:
        """The epoch of our term, or None while we do not lead."""
        return self._term.epoch if self._term else None

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last read; empty when nobody or unknown."""
        return self._sighting.record.holder if self._sighting else ""

    async def lead(self, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Wait until we lead, run ``work(epoch)``, and release the Lease when it ends or is cancelled.

        Raises `LeadershipLost`, or what the work raised. In every case the work has stopped when this returns.
        """
        self._term = term = await self._acquire()
        log.info("leading with epoch %d as %s", term.epoch, self._identity)
        working = asyncio.create_task(work(term.epoch), name="lease: work")
        keeping = asyncio.create_task(self._keep(term), name="lease: renewal")
        watchdog = asyncio.create_task(self._watch_end(term), name="lease: watchdog")
        lost = False
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            lost = keeping.done()
        finally:
            await to_its_end(self._wind_down(term, working, keeping, watchdog, release=not lost))
        if lost:
            keeping.result()
        working.result()

    async def _wind_down(
        self,
        term: _Term,
        working: asyncio.Task[None],
        keeping: asyncio.Task[None],
        watchdog: asyncio.Task[None],
        *,
        release: bool,
    ) -> None:
        # The renewal goes on while the work winds down; the watchdog bounds that if the renewal fails.
        await stopped(working)
        await stopped(keeping)
        await stopped(watchdog)
        self._term = None
        if release:
            await self._release(term)

    async def _acquire(self) -> _Term:
        trouble = ""
        while True:
            try:
                term = await self._try_to_take()
            except (ApiError, TimeoutError) as error:
                if (now := f"{type(error).__name__}") != trouble:
                    log.warning("cannot stand for leader of %s/%s yet: %s", self._namespace, self._name, error)
                trouble = now
            else:
                trouble = ""
                if term is not None:
                    return term
            # Never longer than retry_s, so that a released Lease is taken within it.
            await asyncio.sleep(self._retry_s * (1 - 0.3 * self._jitter()))

    async def _try_to_take(self) -> _Term | None:
        record = await self._read()
        if not self._is_free(record):
            return None
        async with asyncio.timeout(self._lease_s):
            floor = await self._floor_epoch()
        epoch = max(self._highest, floor) + 1
        self.inherited = record.annotations if record else {}
        sent_s = self._clock()
        try:
            if record is None:
                obj = self._writer.first(epoch=epoch, now=self._wall())
                stored = await self._api.create(LEASES, obj, namespace=self._namespace, timeout_s=self._request_s)
            else:
                obj = self._writer.taken(record, epoch=epoch, now=self._wall())
                stored = await self._api.replace(LEASES, obj, timeout_s=self._request_s)
        except (Conflict, AlreadyExists):
            return None
        taken = LeaseRecord.read(stored)
        self._sighting = Sighting(taken, sent_s)
        return _Term(epoch, taken, sent_s)

    def _is_free(self, record: LeaseRecord | None) -> bool:
        """Take in what was read, None for no Lease, and say whether we may have it."""
        now = self._clock()
        if record is not None:
            self._highest = max(self._highest, record.transitions)
            self._sighting = self._sighting.then(record, now) if self._sighting else Sighting(record, now)
        # A Lease that was deleted frees nobody: whoever held it may not know yet, so its last sight counts on.
        seen = self._sighting
        return seen is None or seen.is_free(identity=self._identity, now_s=now, lease_s=self._lease_s)

    async def _read(self) -> LeaseRecord | None:
        try:
            raw = await self._api.get(LEASES, self._name, namespace=self._namespace, timeout_s=self._request_s)
        except NotFound:
            return None
        return LeaseRecord.read(raw)

    async def _keep(self, term: _Term) -> None:
        """Renew until that fails for too long; every way out of here is the end of the term."""
        while (left_s := self._left_s(term)) > 0:
            await asyncio.sleep(min(self._retry_s, left_s))
            try:
                async with asyncio.timeout(max(0.0, self._left_s(term))):
                    if not await self._renew(term):
                        # What made the conflict is known by now and harmless: once more, at once.
                        await self._renew(term)
            except ApiError as error:
                log.warning("the Lease was not renewed: %s", error)
            except TimeoutError:
                log.warning("the Lease was not renewed: no answer before our own deadline")
        raise LeadershipLost(f"the Lease could not be renewed for {self._renew_s:g} s")

    def _left_s(self, term: _Term) -> float:
        """Give the seconds until our own deadline."""
        return term.sent_s + self._renew_s - self._clock()

    async def _renew(self, term: _Term) -> bool:
        """Renew once; False means that the Lease changed but is still ours."""
        sent_s = self._clock()
        obj = self._writer.renewed(term.record, now=self._wall(), annotations=self._annotations())
        try:
            stored = await self._api.replace(LEASES, obj, timeout_s=self._request_s)
        except NotFound as error:
            raise LeadershipLost("the Lease was deleted") from error
        except Conflict:
            await self._check_still_ours(term)
            return False
        term.record, term.sent_s = LeaseRecord.read(stored), sent_s
        return True

    async def _check_still_ours(self, term: _Term) -> None:
        record = await self._read()
        if record is None or record.uid != term.record.uid:
            raise LeadershipLost("the Lease was deleted")
        if record.holder != self._identity or record.transitions != term.epoch:
            raise LeadershipLost(f"the Lease is held by {record.holder or 'nobody'} in epoch {record.transitions}")
        term.record = record

    async def _watch_end(self, term: _Term) -> None:
        """Abort when the lease ends under us; renewals push its end away."""
        while True:
            left_s = term.sent_s + self._lease_s - self._clock()
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)
        self._abort()

    async def _release(self, term: _Term) -> None:
        try:
            for _ in range(2):
                try:
                    obj = self._writer.released(term.record, now=self._wall())
                    await self._api.replace(LEASES, obj, timeout_s=self._request_s)
                except Conflict:
                    # A renewal whose answer we did not wait for may have come through.
                    await self._check_still_ours(term)
                else:
                    log.info("released the Lease %s/%s", self._namespace, self._name)
                    return
        except (ApiError, LeadershipLost) as error:
            log.info("the Lease was not released, it runs out by itself: %s", error)
