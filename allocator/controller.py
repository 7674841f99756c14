"""The loop of a term: wait for a change, decide, write, and again; one round at a time.

A change is acted on within milliseconds; changes that come together are decided together. While somebody waits, a tick lets time
limits fall due; else the loop sleeps for long. All that it holds between rounds is a `Memory`, which may be lost. Before each
round the demand mix learns from the Pods that are new.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from allocator.decisions import Decisions, Memory
from allocator.index import Index
from allocator.learning import Learning
from allocator.metrics import Metrics
from allocator.placement.engine import Engine
from allocator.round import decide
from allocator.writer import Done, Writer
from kube.lease import LeadershipLost

log = logging.getLogger(__name__)

COALESCE_S: Final = 0.003
"""How long a first change waits for company: a tenth of what one write takes, and enough for a burst of events."""

TICK_S: Final = 1.0
"""While somebody waits, or a write failed."""

RESYNC_S: Final = 60.0
"""When nothing at all happens."""


class Controller:
    """The loop; `wake` it at each change of the index."""

    def __init__(
        self,
        index: Index,
        writer: Writer,
        *,
        epoch: int,
        engine: Engine,
        learning: Learning,
        metrics: Metrics,
        wake: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._writer = writer
        self._epoch = epoch
        self._engine = engine
        self._learning = learning
        self._metrics = metrics
        self._wake = wake
        self._clock = clock
        self._wall = wall
        self._memory = Memory()

    async def run(self) -> None:
        """Never ends but by an error. Raises `LeadershipLost` when a MigSpec shows a higher epoch."""
        pause_s = RESYNC_S
        while True:
            await self._change(pause_s)
            if not self._index.synced:
                continue
            decisions = self._decide()
            done = await self._writer.carry_out(decisions)
            self._count(decisions, done)
            self._memory = decisions.memory
            busy = self._memory.first_seen or self._memory.avoided or self._memory.overdue or not decisions.idle
            pause_s = TICK_S if busy else RESYNC_S

    async def _change(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
                await asyncio.sleep(COALESCE_S)
        except TimeoutError:
            pass
        self._wake.clear()

    def _decide(self) -> Decisions:
        with self._metrics.round_seconds.time():
            view = self._index.view(self._epoch)
            self._learning.look(view.pods)
            self._engine.follow(self._learning.mix, self._learning.scale, now=self._wall())
            decisions = decide(view, now=self._clock(), memory=self._memory, engine=self._engine)
        self._metrics.rounds.inc()
        self._metrics.waits(outcome.reason for outcome in decisions.outcomes.values())
        if decisions.deposed_by is not None:
            raise LeadershipLost(f"a MigSpec is of epoch {decisions.deposed_by}, ours is {self._epoch}")
        return decisions

    def _count(self, decisions: Decisions, done: Done) -> None:
        now = self._clock()
        ready = [write.pod.uid for write in decisions.pods if write.ungate]
        for step, uids in (("reserved", done.reserved), ("ready", ready), ("released", done.released)):
            for uid in uids:
                if uid in decisions.memory.first_seen:
                    self._metrics.way.labels(step).observe(now - decisions.memory.first_seen[uid])
