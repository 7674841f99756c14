"""The event loop in virtual time: arrivals meet a placer, slices end, and what came of it is counted.

In loss mode a Pod that finds no place is gone; in the queue modes it waits: `FIFO` lets nobody pass the first that waits,
`BACKFILL` lets anybody go who fits, in order of priority and age. A refusal answers for every later Pod of the same profile until
a slice ends, so a departure costs one attempt a profile, however long the queue. The loop knows nothing of how a placer decides,
and takes its word for where a slice lies.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from heapq import heappop, heappush

from mig.profiles import Profile
from simulate.load import Arrival
from simulate.outcome import Outcome, Stay, Tally
from simulate.placer import Placer, Spot


class NothingToCount(ValueError):
    """The warm-up swallowed every arrival; the message says how many there were."""


class Mode(Enum):
    """What becomes of a Pod that finds no place."""

    LOSS = "loss"
    FIFO = "fifo"
    BACKFILL = "backfill"


_Waiting = tuple[int, int, Arrival, Tally]
"""Minus priority and number of arrival (the order of the queue, never equal), the Pod, and where it is counted."""


def replay(
    arrivals: Iterable[Arrival],
    placer: Placer,
    *,
    sizes: Mapping[Profile, int],
    slices: int,
    mode: Mode = Mode.LOSS,
    warm_up: int = 0,
    record: bool = False,
) -> Outcome:
    """Play arrivals, which come in order of time, against a placer that starts with an empty fleet.

    `sizes`: memory slices by profile, a profile that is not in it is refused unasked. `slices`: those of the whole fleet. The first
    `warm_up` arrivals are played and not counted; utilisation is measured from the first that counts to the last. `record` keeps
    every stay. Raises `NothingToCount` where no arrival is left behind the warm-up.
    """
    run = _Run(placer, sizes, mode, stays=[] if record else None)
    number = -1
    for number, arrival in enumerate(arrivals):
        run.pass_until(arrival.at)
        if number == warm_up:
            run.start_counting()
        run.arrive(number, arrival)
    if number < warm_up:
        raise NothingToCount(
            f"{number + 1} arrivals, of which the first {warm_up} are not counted; give a shorter warm-up"
        )
    span, used, busy, peak = run.measured()
    run.finish()
    return Outcome(
        profiles=run.tallies,
        span=span,
        utilisation=used / (span * slices) if span else 0.0,
        gpus_in_use=busy / span if span else 0.0,
        gpus_peak=peak,
        gpus_touched=run.touched,
        stays=tuple(run.stays or ()),
    )


class _Run:
    """One replay under way."""

    def __init__(self, placer: Placer, sizes: Mapping[Profile, int], mode: Mode, *, stays: list[Stay] | None) -> None:
        self._placer = placer
        self._sizes = sizes
        self._mode = mode
        self._ends: list[tuple[float, int, Spot, int]] = []
        self._queues: dict[Profile | None, list[_Waiting]] = {}
        self._refused: set[Profile] = set()
        self._now = self._since = 0.0
        self._used = self._busy = 0
        self._used_area = self._busy_area = 0.0
        self._on_gpu: dict[int, int] = {}
        self._placed = 0
        self.tallies: dict[Profile, Tally] = {}
        self._peak = 0
        self.stays = stays

    def pass_until(self, time: float) -> None:
        """Let the time pass, with every end up to it; an end comes before an arrival of the same instant."""
        ends = self._ends
        while ends and ends[0][0] <= time:
            end = ends[0][0]
            self._advance(end)
            while ends and ends[0][0] == end:
                self._end(heappop(ends))
            if self._queues:
                self._refused.clear()
                self._serve()
        self._advance(time)

    def start_counting(self) -> None:
        """The warm-up is over: what arrived before keeps running and is counted no more."""
        self.tallies = {}
        self._since, self._peak = self._now, self._busy
        self._used_area = self._busy_area = 0.0

    def arrive(self, number: int, arrival: Arrival) -> None:
        """A Pod comes: it is placed, waits or is gone."""
        profile = arrival.profile
        tally = self.tallies.get(profile)
        if tally is None:
            tally = self.tallies[profile] = Tally(size=self._sizes.get(profile, 0))
        tally.offered += 1
        if profile not in self._sizes:
            return
        if self._mode is Mode.LOSS:
            self._try(arrival, tally)
            return
        lane = None if self._mode is Mode.FIFO else profile
        heappush(self._queues.setdefault(lane, []), (-arrival.priority, number, arrival, tally))
        if profile not in self._refused:
            self._serve()

    def measured(self) -> tuple[float, float, float, int]:
        """Since counting began: seconds, used slices times seconds, used GPUs times seconds, and the most GPUs at once."""
        return self._now - self._since, self._used_area, self._busy_area, self._peak

    @property
    def touched(self) -> int:
        """How many GPUs ever had a slice, the warm-up included."""
        return len(self._on_gpu)

    def finish(self) -> None:
        """Serve who still waits. Nothing more comes, so who is refused with nothing running never fits, and is gone."""
        while any(self._queues.values()):
            if self._ends:
                self.pass_until(self._ends[0][0])
                continue
            for queue in self._queues.values():
                if queue:
                    heappop(queue)
            self._refused.clear()
            self._serve()

    def _serve(self) -> None:
        """Place who waits, the first first; each profile is asked for until it is refused."""
        queues = [queue for queue in self._queues.values() if queue and queue[0][2].profile not in self._refused]
        while queues:
            queue = min(queues)  # lists compare by their first entry, whose number no other has
            if self._try(queue[0][2], queue[0][3]):
                heappop(queue)
            else:
                self._refused.add(queue[0][2].profile)
            if not queue or queue[0][2].profile in self._refused:
                queues.remove(queue)

    def _try(self, arrival: Arrival, tally: Tally) -> bool:
        now = self._now
        declared = arrival.declared
        spot = self._placer.place(arrival.profile, now=now, until=None if declared is None else now + declared)
        if spot is None:
            return False
        tally.accepted += 1
        tally.reused += spot.reused
        if self._mode is not Mode.LOSS:
            tally.waits.append(now - arrival.at)
        self._placed += 1
        heappush(self._ends, (now + arrival.lasts, self._placed, spot, tally.size))
        self._used += tally.size
        on_gpu = self._on_gpu.get(spot.gpu, 0)
        self._on_gpu[spot.gpu] = on_gpu + 1
        if not on_gpu:
            self._busy += 1
            self._peak = max(self._peak, self._busy)
        if self.stays is not None:
            self.stays.append(Stay(now, now + arrival.lasts, spot.gpu, spot.placed))
        return True

    def _end(self, ended: tuple[float, int, Spot, int]) -> None:
        _, _, spot, size = ended
        self._placer.release(spot, now=self._now)
        self._used -= size
        self._on_gpu[spot.gpu] -= 1
        self._busy -= not self._on_gpu[spot.gpu]

    def _advance(self, time: float) -> None:
        passed = time - self._now
        if passed > 0:
            self._used_area += passed * self._used
            self._busy_area += passed * self._busy
            self._now = time
