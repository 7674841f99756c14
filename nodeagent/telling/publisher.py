"""Writes the agent's report into its MigSpec's status: at once for a new generation, and at each change.

One patch a report, of the status alone, with a `test` of the object's uid: whoever deleted the MigSpec and made it anew
gets no report on the old one. The agent is the only writer, so no resourceVersion is needed. Changes that come within some
milliseconds go together, and those that nobody waits for within half a second; an unchanged report is not written.
Failures are tried again with the newest report.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kube.backoff import Backoff
from kube.client import Api
from kube.errors import ApiError, Conflict, Invalid, NotFound
from kube.resource import Resource
from mig.migspec import SliceState, Status
from mig.migspec_json import status_to_json
from mig.names import GROUP, PLURAL, VERSION
from mig.occupancy import Placed
from nodeagent.pulse import Pulse

log = logging.getLogger(__name__)

MIGSPECS: Final = Resource(GROUP, VERSION, PLURAL, namespaced=False)

COALESCE_S: Final = 0.01
BUSY_S: Final = 0.03
"""On top, while more slices are being made: the next one is about as near, so they are told together."""
UNHURRIED_S: Final = 0.5
"""That Pods have begun to use their slices holds nobody up, and a report costs the API server 30 ms of CPU: many go together."""
WRITE_S: Final = 5.0
FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """A status, and the very MigSpec that it is for."""

    name: str
    uid: str
    status: Status


class Publisher:
    """The one writer. `make` gives the report as of now, None where there is nothing to say or nobody to say it to."""

    def __init__(
        self, api: Api, *, make: Callable[[], Report | None], changed: Pulse, jitter: Callable[[], float]
    ) -> None:
        self._api = api
        self._make = make
        self._changed = changed
        self._backoff = Backoff(first_s=FIRST_RETRY_S, cap_s=LAST_RETRY_S, jitter=jitter)
        self._written: tuple[str, dict[str, Any]] | None = None
        self._last: Status | None = None
        self._written_pulse = Pulse()
        self._generation = -1
        self.trouble = ""
        """Why the last report could not be written; empty when it was."""

    async def run(self) -> None:
        """Eternal."""
        while True:
            seen = self._changed.count
            report = self._make()
            if report is None or self._known(report):
                self._written_pulse.fire()
                await self._changed.beyond(seen)
                await self._gather(report)
                continue
            pause = await self._write(report)
            if pause:
                await asyncio.sleep(pause)

    async def written(self, *, within_s: float) -> bool:
        """Wait until what is to be said now has been written; False if it was not within the time."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    seen = self._written_pulse.count
                    report = self._make()
                    if report is not None and self._known(report):
                        return True
                    self._changed.fire()
                    await self._written_pulse.beyond(seen)
        except TimeoutError:
            return False

    async def told(self, holds: Callable[[Status], bool], *, within_s: float) -> bool:
        """Wait until the last report that was written is of this kind, whatever has changed since; False if it never was."""
        try:
            async with asyncio.timeout(within_s):
                while self._last is None or not holds(self._last):
                    seen = self._written_pulse.count
                    self._changed.fire()
                    await self._written_pulse.beyond(seen)
        except TimeoutError:
            return False
        return True

    def _known(self, report: Report) -> bool:
        return self._written == (report.uid, status_to_json(report.status))

    async def _gather(self, before: Report | None) -> None:
        """Let changes that come together be written together, but a new generation at once."""
        report = self._make()
        if report is not None and (before is None or report.status.observed_generation != self._generation):
            return
        await asyncio.sleep(COALESCE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BUSY_S):
                while True:
                    seen = self._changed.count
                    if not self._more_comes():
                        break
                    await self._changed.beyond(seen)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UNHURRIED_S):
                while True:
                    seen = self._changed.count
                    if not self._can_wait():
                        return
                    await self._changed.beyond(seen)

    def _more_comes(self) -> bool:
        """Whether slices are still being made: the last one of them is not kept waiting for others."""
        report = self._make()
        return report is not None and _busy(report.status)

    def _can_wait(self) -> bool:
        """Whether there is something to write, and nobody who waits for it."""
        report = self._make()
        if report is None or self._last is None or self._known(report):
            return False
        return not awaited(self._last, report.status)

    async def _write(self, report: Report) -> float:
        """Write it; how long to pause before the next try, 0 after success."""
        body = status_to_json(report.status)
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": report.uid},
            {"op": "add", "path": "/status", "value": body},
        ]
        try:
            await self._api.json_patch(MIGSPECS, report.name, operations, subresource="status", timeout_s=WRITE_S)
        except (Conflict, NotFound) as error:
            log.info("the MigSpec is another one by now: %s", error)
            return self._backoff.failed()
        except Invalid as error:
            self._failed(f"the API server refuses our report: {error}; are agent and CRD of one version?")
            return LAST_RETRY_S
        except ApiError as error:
            self._failed(f"our report cannot be written: {error}")
            return self._backoff.failed(at_least_s=error.retry_after_s or 0.0)
        self._backoff.succeeded()
        self._written = (report.uid, body)
        self._last = report.status
        self._written_pulse.fire()
        self._generation = report.status.observed_generation
        self.trouble = ""
        return 0.0

    def _failed(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble


def awaited(before: Status, now: Status) -> bool:
    """Whether somebody may wait for what is new: anything but slices of the same places that are used from now on."""
    if now.observed_generation != before.observed_generation or now.conditions != before.conditions:
        return True
    was, is_ = _states(before), _states(now)
    return was.keys() != is_.keys() or any(
        state is not SliceState.USED for place, state in is_.items() if state is not was[place]
    )


def _busy(status: Status) -> bool:
    return any(state is SliceState.CREATING for state in _states(status).values())


def _states(status: Status) -> dict[tuple[str, Placed], SliceState]:
    return {(gpu.uuid, item.placed): item.state for gpu in status.gpus for item in gpu.slices}
