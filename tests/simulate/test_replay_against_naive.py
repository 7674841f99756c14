"""The replay does exactly what the plainest loop would: one that looks at the whole queue again after everything that happens."""

from dataclasses import dataclass, field
from random import Random

import pytest

from mig.profiles import parse_profile
from simulate.load import Arrival, Load, fleet_slices, generate, named_mixes, slice_sizes
from simulate.placer import Placer, Spot
from simulate.policies import make
from simulate.replay import Mode, replay
from tests.support.shapes import shapes

FLEET = [shapes()["a100-80gb"]] * 3


@dataclass
class Naive:
    """Queue and running slices as plain lists, searched from the start each time."""

    placer: Placer
    mode: Mode
    running: list[tuple[float, int, Spot]] = field(default_factory=list)
    queue: list[tuple[int, int, Arrival]] = field(default_factory=list)
    begun: list[tuple[float, int, int, int]] = field(default_factory=list)
    """Time, number of the arrival, GPU and start of each slice."""

    def serve(self, now: float) -> None:
        """Whoever may go goes, until a whole look at the queue finds nobody."""
        again = True
        while again:
            again = False
            for entry in sorted(self.queue, key=lambda entry: entry[:2]):
                _, number, pod = entry
                spot = self.placer.place(pod.profile, now=now)
                if spot is not None:
                    self.queue.remove(entry)
                    self.running.append((now + pod.lasts, len(self.begun), spot))
                    self.begun.append((now, number, spot.gpu, spot.placed.window.start))
                    again = True
                elif self.mode is Mode.FIFO:
                    return

    def end_until(self, time: float) -> None:
        """Ends up to a time, each followed by a look at the queue."""
        while self.running and min(self.running)[0] <= time:
            ended = min(self.running)
            self.running.remove(ended)
            self.placer.release(ended[2], now=ended[0])
            if not any(other[0] == ended[0] for other in self.running):
                self.serve(ended[0])


def naively(pods: list[Arrival], placer: Placer, mode: Mode) -> list[tuple[float, int, int]]:
    naive = Naive(placer, mode)
    for number, pod in enumerate(pods):
        naive.end_until(pod.at)
        naive.queue.append((-pod.priority, number, pod))
        naive.serve(pod.at)
        if mode is Mode.LOSS:
            naive.queue.clear()
    naive.end_until(float("inf"))
    return [(begin, gpu, start) for begin, _, gpu, start in naive.begun]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("policy", ["first-fit", "best-index", "mfi", "fgd", "instaslice"])
@pytest.mark.parametrize("whole_seconds", [False, True], ids=["apart", "at once"])
def test_every_slice_begins_when_and_where_the_plain_loop_says(mode: Mode, policy: str, *, whole_seconds: bool) -> None:
    """With times of their own, and with times rounded to whole seconds, so that many things happen at one instant."""
    rng = Random(9)
    load = Load(mix=named_mixes()["bimodal"], load=1.3, arrivals=300, lifetime=20.0)
    pods = [pod._replace(priority=rng.choice((0, 0, 0, 1))) for pod in generate(load, shapes=FLEET, seed=8)]
    if whole_seconds:
        pods = [pod._replace(at=float(round(pod.at)), lasts=float(1 + round(pod.lasts))) for pod in pods]

    outcome = replay(
        pods, make(policy, FLEET), sizes=slice_sizes(FLEET), slices=fleet_slices(FLEET), mode=mode, record=True
    )
    stays = [(stay.begin, stay.gpu, stay.placed.window.start) for stay in outcome.stays]
    assert stays == naively(pods, make(policy, FLEET), mode)
    assert any(pod.profile == parse_profile("7g.80gb") for pod in pods)
