"""The compiled kernel decides as the plainest loop over the allocator's own classes does, choice by choice."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from allocator.placement.durations import tuned
from allocator.placement.outlook import End, Outlook
from allocator.placement.states import EMPTY
from bench.tuning import kernel, values
from bench.tuning.loads import MIXES, shares, trace
from bench.tuning.study import Bench, bench
from simulate.load import Declaring

GPUS = 7
LOOKS = 3


@dataclass
class Gpu:
    """What lies on one GPU."""

    index: int
    state: int = EMPTY
    ends: list[End] = field(default_factory=list)


class PlainFleet:
    """The same rules with no array, no heap and no bound but `LOOKS`."""

    def __init__(self, on: Bench, value: list[float], adjusted: list[float]) -> None:
        self.space = on.space
        self.value = value
        self.adjusted = adjusted
        self.outlook = Outlook(on.space, adjusted, tuned())
        self.gpus = [Gpu(index) for index in range(GPUS)]
        self.running: list[tuple[float, int, int, int, float]] = []

    def end_all(self, now: float) -> None:
        """Take away what has ended."""
        while self.running and self.running[0][0] <= now:
            _, index, kind, start, told_end = self.running.pop(0)
            gpu = self.gpus[index]
            gpu.state = self.space.without(gpu.state, self.space.placed[kind][start])
            if told_end >= 0:
                gpu.ends.remove((told_end, kind, start))

    def place(self, kind: int, now: float, lasts: float, told: float) -> tuple[int, int]:
        """Where the slice goes, -1 where it is refused."""
        options = list(self._by_value(kind) if told < 0 else self._by_ends(kind, now, told))
        if not options:
            return -1, -1
        _, gpu, start, after = max(options, key=lambda option: option[0])
        gpu.state = after
        told_end = now + told if told >= 0 else -1.0
        if told >= 0:
            insort(gpu.ends, (told_end, kind, start))
        insort(self.running, (now + lasts, gpu.index, kind, start, told_end))
        return gpu.index, start

    def _by_value(self, kind: int) -> Iterator[tuple[float, Gpu, int, int]]:
        for gpu in self.gpus:
            for start, after in self.space.places(gpu.state, kind):
                yield self.value[after] - self.value[gpu.state], gpu, start, after

    def _by_ends(self, kind: int, now: float, told: float) -> Iterator[tuple[float, Gpu, int, int]]:
        fitting = [gpu for gpu in self.gpus if self.space.places(gpu.state, kind)]
        for gpu in sorted(fitting, key=lambda gpu: -self._ceiling(gpu, kind, now, told))[:LOOKS]:
            for start, after in self.space.places(gpu.state, kind):
                window = self.space.placed[kind][start].window
                score = self.outlook.score(
                    told, before=gpu.state, after=after, window=window, ends=gpu.ends, now=now, scale=1.0
                )
                yield score, gpu, start, after

    def _ceiling(self, gpu: Gpu, kind: int, now: float, told: float) -> float:
        gain = max(self.adjusted[after] for _, after in self.space.places(gpu.state, kind)) - self.adjusted[gpu.state]
        return self.outlook.ceiling(gain, told, gpu.ends[-1][0] if gpu.ends else None, now=now, scale=1.0)


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize(
    "declaring", [None, Declaring(), Declaring(share=0.6, error=2.0)], ids=["never", "all", "some wrongly"]
)
def test_every_arrival_goes_where_the_plain_loop_puts_it(on: Bench, mix: str, declaring: Declaring | None) -> None:
    load = trace(mix, 3, shape=on.space.shape, declaring=declaring, gpus=GPUS, arrivals=400)
    value = values.u2(on.space, shares(mix, on.space.shape))
    adjusted = kernel.adjusted(on.space, value, tuned().coefficients)
    plain, declared = (
        kernel.rules_of(on.tables, table, tuned().coefficients, looks=LOOKS) for table in (value, adjusted)
    )
    taken = kernel.run(on.tables, plain, load, declared=declared, gpus=GPUS)
    fleet = PlainFleet(on, value.tolist(), adjusted.tolist())
    for index, (at, kind, lasts, told) in enumerate(zip(*(column.tolist() for column in load), strict=True)):
        fleet.end_all(at)
        assert fleet.place(kind, at, lasts, told) == tuple(taken[index].tolist()), f"arrival {index}"
    assert (taken[:, 0] < 0).any(), "a fleet that never fills would show little"
