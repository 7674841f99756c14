"""Puts the agent's rooms together and runs them side by side.

Everything that is learnt goes into `NodeState`, by whoever learns it; everything that is reported comes out of it. What one room
tells another goes through here: that something changed, that a device was handed out, that a report is to be written first.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from kube.client import Api
from kube.events import EventRecorder
from nodeagent.farewell import Leaving, look_up
from nodeagent.gpus.departures import Departures, HeldBack
from nodeagent.gpus.driver import Driver
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.keeper import Keeper
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.migmode import MigSwitch
from nodeagent.gpus.session import Session
from nodeagent.gpus.takeover import Takeover
from nodeagent.gpus.workers import Worker
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.metrics import Metrics
from nodeagent.options import Options
from nodeagent.state import GpuRecord, NodeState
from nodeagent.telling.announcing import Announcing
from nodeagent.telling.publisher import Publisher, Report
from nodeagent.telling.reporting import report_of
from nodeagent.use.looker import Looker
from nodeagent.watches import Watches

ANNOUNCE_S: Final = 10.0
"""How long a slice's making waits for the report that stands in for the ledger."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the agent is given: the world, time and chance."""

    api: Api
    driver: Driver
    ledger: Ledger
    clock: Callable[[], float]
    now: Callable[[], datetime]
    jitter: Callable[[], float]
    metrics: Metrics
    events: EventRecorder


class Agent:
    """One node's agent. `run` is eternal unless it is told to leave; the caller holds the node's lock and has opened the ledger."""

    def __init__(
        self, outside: Outside, *, state: NodeState, make_kubelet: Callable[["Agent"], KubeletSide], options: Options
    ) -> None:
        self._outside = outside
        self._options = options
        self._state = state
        self._kubelet = make_kubelet(self)
        self._held_back = HeldBack(self._kubelet)
        ownership_known = asyncio.Event()
        self._session = Session(
            driver=outside.driver,
            state=state,
            kubelet=self._kubelet,
            ownership_known=ownership_known,
            make_hardware=self._make_hardware,
            make_keeper=self._make_keeper,
        )
        self._looker = Looker(state=state, kubelet=self._kubelet, hardware=self._session.hardware, clock=outside.clock)
        self._watches = Watches(
            outside.api,
            state=state,
            kubelet=self._kubelet,
            looker=self._looker,
            ledger=outside.ledger,
            ownership_known=ownership_known,
        )
        self._publisher = Publisher(outside.api, make=self._report, changed=state.changed, jitter=outside.jitter)
        self._announcing = Announcing(
            state=state,
            kubelet=self._kubelet,
            ledger_trouble=lambda: outside.ledger.trouble,
            emit=outside.events.emit,
        )
        self._leaving = self._make_leaving(drain_s=options.drain_s)
        outside.metrics.show_running(lambda: self._session.workers)

    async def run(self) -> None:
        """Everything at once, until `leave` was called and all is left in order."""
        async with asyncio.TaskGroup() as tasks:
            rooms = [
                tasks.create_task(self._kubelet.run(), name="kubelet"),
                tasks.create_task(self._session.run(), name="driver"),
                tasks.create_task(self._looker.run(), name="usage"),
                tasks.create_task(self._publisher.run(), name="report"),
                tasks.create_task(self._follow_changes(), name="changes"),
                tasks.create_task(self._watches.run(), name="watches"),
                tasks.create_task(self._announcing.run(), name="news"),
                tasks.create_task(self._outside.events.run(), name="events"),
            ]
            await self._leaving.run()
            for room in rooms:
                room.cancel()
        await self._outside.events.drain()

    def leave(self) -> bool:
        """Begin to end in order, so that `run` returns; False where no time is given for that."""
        return self._leaving.ask()

    def unready(self) -> list[str]:
        """What keeps the agent from its work, for /readyz."""
        state = self._state
        return [
            *(["the agent is leaving"] if state.farewell else []),
            *([state.driver_trouble.message] if state.driver_trouble else []),
            *([] if state.hardware_known or state.driver_trouble else ["the GPUs have not been read yet"]),
            *([] if state.inherited is not None else ["the Pods of this node have not been listed yet"]),
            *([] if self._kubelet.status.reachable else ["the kubelet does not answer"]),
            *([self._publisher.trouble] if self._publisher.trouble else []),
        ]

    def kubelet_changed(self) -> None:
        """The kubelet's half has something new: a device handed out, offered, counted."""
        self._looker.handed_out()
        self._state.changed.fire()

    async def look(self) -> bool:
        """Read anew who has what; False where somebody did not answer."""
        return await self._looker.look()

    def exists(self, device_id: str) -> bool:
        """Whether a container that was given this device may start."""
        return self._state.exists(device_id)

    def _make_hardware(self, record: GpuRecord, worker: Worker) -> Hardware:
        return Hardware(
            record=record,
            driver=self._outside.driver,
            worker=worker,
            ledger=self._outside.ledger,
            on_missing=lambda entries: self._state.missed(record, entries, now=self._outside.clock()),
            change_s=self._options.change_deadline_s,
        )

    def _make_keeper(self, hardware: Hardware) -> Keeper:
        async def look() -> bool:
            return await self._looker.look([hardware.record.index])

        departures = Departures(
            hardware=hardware,
            state=self._state,
            kubelet=self._kubelet,
            held_back=self._held_back,
            look=look,
            clock=self._outside.clock,
            observe=self._outside.metrics.step,
        )
        return Keeper(
            hardware=hardware,
            departures=departures,
            takeover=Takeover(hardware=hardware, state=self._state, look=look),
            switch=MigSwitch(
                hardware=hardware,
                state=self._state,
                allowed=self._options.enable_mig_mode,
                retry_s=self._options.resync_s,
                clock=self._outside.clock,
            ),
            state=self._state,
            kubelet=self._kubelet,
            announced=self._announced,
            on_read=self._looker.wake,
            clock=self._outside.clock,
            observe=self._outside.metrics.step,
            resync_s=self._options.resync_s,
        )

    def _make_leaving(self, *, drain_s: float) -> Leaving:
        return Leaving(
            state=self._state,
            kubelet=self._kubelet,
            hold_back=self._held_back.add,
            reports=self._publisher,
            look_up=partial(look_up, self._outside.api),
            at_work=lambda: any(worker.running_s > 0 for worker in self._session.workers.values()),
            clock=self._outside.clock,
            drain_s=drain_s,
        )

    async def _announced(self) -> bool:
        """Whether it is written down, in the ledger or else in our report, what is about to be made."""
        if not self._outside.ledger.trouble:
            return True
        return await self._publisher.written(within_s=ANNOUNCE_S)

    def _report(self) -> Report | None:
        return report_of(
            self._state, kubelet=self._kubelet, ledger_trouble=self._outside.ledger.trouble, now=self._outside.now()
        )

    async def _follow_changes(self) -> None:
        """Whatever changed may let a GPU's next step be done; planning costs microseconds, so nobody is left out."""
        while True:
            seen = self._state.changed.count
            self._session.wake()
            await self._state.changed.beyond(seen)
