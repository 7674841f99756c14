"""How long one decision takes on a fleet that is nearly full and keeps changing, and what its index weighs.

A fleet is filled to 85 % of its memory slices; then slices end, the soonest first, and others ask, and only the asking is timed.
Lifetimes are exponential, so that declared ends are spread as in a running cluster. Each fleet has a process of its own, so that
its growth is the fleet's; one thread, the garbage collector on as in service. A decision includes booking it. Times are the
thread's own on the processor, so that neighbours on the machine do not count.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from multiprocessing import get_context
from pathlib import Path
from resource import getpagesize
from typing import Final

from bench.gpu import a100
from bench.placement.contestants import CONTESTANTS, DURATIONS, PER_NODE, Setting
from bench.placement.plan import mean_mix
from simulate.load import slice_sizes
from simulate.placer import Placer, Spot

FULL: Final = 0.85
"""Of the memory slices; above it, refusals make decisions look quicker than they are."""

_LIFETIME: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Decision times in microseconds, how full the fleet was, and by how many MiB the process grew when it was made and filled."""

    contestant: str
    nodes: int
    p50: float
    p99: float
    longest: float
    samples: int
    full: float
    mib: float


def decision_times(contestant: str, *, nodes: int, samples: int) -> Times:
    """Measure one contestant on one size of fleet, in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (contestant, nodes, samples))


def _measure(contestant: str, nodes: int, samples: int) -> Times:
    gpus = nodes * PER_NODE
    setting = Setting(shape=a100(), gpus=gpus, mix=mean_mix("uniform"), seed=1)
    _warm_process(contestant)
    before = resident_mib()
    churn = Churn(CONTESTANTS[contestant].placer(setting), gpus=gpus, declared=contestant == DURATIONS)
    churn.fill()
    grown = resident_mib() - before
    churn.sample(samples // 5)  # what is worked out once is not what a decision costs
    took = sorted(churn.sample(samples))
    return Times(
        contestant=contestant,
        nodes=nodes,
        p50=took[len(took) // 2] / 1e3,
        p99=took[len(took) * 99 // 100] / 1e3,
        longest=took[-1] / 1e3,
        samples=len(took),
        full=churn.used / (gpus * a100().width),
        mib=grown,
    )


def _warm_process(contestant: str) -> None:
    """Run a small fleet first: modules and tables are there once, whatever the fleet."""
    setting = Setting(shape=a100(), gpus=PER_NODE, mix=mean_mix("uniform"), seed=1)
    Churn(CONTESTANTS[contestant].placer(setting), gpus=PER_NODE, declared=contestant == DURATIONS).sample(500)


def resident_mib() -> float:
    """What the process holds in memory."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * getpagesize() / 2**20


class Churn:
    """One placer on one fleet, in virtual time. `used`: memory slices in use."""

    def __init__(self, placer: Placer, *, gpus: int, declared: bool, seed: int = 5) -> None:
        self._place = placer.place
        self._release = placer.release
        self._declared = declared
        self._rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
        self._sizes = slice_sizes([a100()])
        self._most = FULL * gpus * a100().width
        mix = mean_mix("uniform")
        self._profiles, self._weights = list(mix), list(mix.values())
        self._ends: list[tuple[float, int, Spot]] = []
        self._serial = 0
        self._now = 0.0
        self._took = 0
        self.used = 0

    def fill(self) -> None:
        """Ask until the fleet is as full as it shall be, or too fragmented for that."""
        refused = 0
        while self.used < self._most and refused < 1000:
            refused = 0 if self._ask() else refused + 1

    def sample(self, count: int) -> Sequence[int]:
        """Processor nanoseconds of each of so many decisions, with ends in between that keep the fleet as full as it is."""
        took = []
        for _ in range(count):
            while self._ends and self.used >= self._most:
                self._end()
            self._ask()
            took.append(self._took)
        return took

    def _ask(self) -> bool:
        profile = self._rng.choices(self._profiles, self._weights)[0]
        end = self._now + self._rng.expovariate(1.0 / _LIFETIME)
        until = end if self._declared else None
        began = time.thread_time_ns()
        spot = self._place(profile, now=self._now, until=until)
        self._took = time.thread_time_ns() - began
        if spot is None:
            return False
        self._serial += 1
        heappush(self._ends, (end, self._serial, spot))
        self.used += self._sizes[profile]
        return True

    def _end(self) -> None:
        self._now, _, spot = heappop(self._ends)
        self._release(spot, now=self._now)
        self.used -= self._sizes[spot.placed.profile]
