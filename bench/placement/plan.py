"""What is run: which contestants meet which mixes and loads, on how many seeds.

Seeds are paired: every contestant of a cell meets the same arrivals. They start far from those that any coefficient was tuned on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.placement.contestants import (
    CLAIRVOYANT,
    CONTESTANTS,
    DEFAULT,
    DURATIONS,
    FGD,
    FIRST_FIT,
    MOVES_20,
    MOVES_50,
    WRONG_DURATIONS,
)
from mig.profiles import Profile
from simulate.load import Drift, named_load, named_mixes
from simulate.replay import Mode

GPUS: Final = 100
FIRST_SEED: Final = 1_000_000
DRIFTING: Final = "drifting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of several contestants on the same arrivals."""

    mix: str
    load: float
    seed: int
    arrivals: int
    contestants: tuple[str, ...]
    mode: Mode = Mode.LOSS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seeds by load and contestant in loss mode, and by load in the queue modes; the first quarter of the arrivals is cut."""

    mixes: tuple[str, ...]
    arrivals: int
    seeds: Mapping[float, Mapping[str, int]]
    queue_seeds: Mapping[float, int]
    queue_mixes: tuple[str, ...]
    queued: tuple[str, ...] = (DEFAULT, FGD, FIRST_FIT)

    def cells(self) -> Iterator[Cell]:
        """Every run, the longest first so that two workers end together."""
        for load, seeds in self.seeds.items():
            for number in range(max(seeds.values())):
                names = tuple(name for name, count in seeds.items() if number < count)
                for mix in self.mixes:
                    yield self._cell(mix, load, number, names)
        for load, count in self.queue_seeds.items():
            for number in range(count):
                for mix in self.queue_mixes:
                    for mode in (Mode.FIFO, Mode.BACKFILL):
                        yield self._cell(mix, load, number, self.queued, mode)

    def _cell(self, mix: str, load: float, number: int, names: tuple[str, ...], mode: Mode = Mode.LOSS) -> Cell:
        return Cell(mix=mix, load=load, seed=FIRST_SEED + number, arrivals=self.arrivals, contestants=names, mode=mode)


def all_mixes() -> tuple[str, ...]:
    """Those that stay, in the order of their file, and the one that drifts."""
    return (*named_mixes(), DRIFTING)


def mean_mix(name: str) -> Mapping[Profile, float]:
    """The mix, or the mean over the run of one that drifts: what a policy that is told the demand is told."""
    mix = named_load(name)
    if not isinstance(mix, Drift):
        return mix
    return {profile: (mix.start.get(profile, 0) + mix.end.get(profile, 0)) / 2 for profile in {**mix.start, **mix.end}}


def full() -> Plan:
    """20 minutes on two cores: everybody on 40 seeds at load 1.0, the bound on 20; at the other loads 20 seeds.

    Declared lifetimes and moves have their aims at load 1.0, take most of the time, and stand there alone.
    """
    everybody = tuple(CONTESTANTS)
    plainly = tuple(name for name in everybody if name not in (DURATIONS, WRONG_DURATIONS, MOVES_50, MOVES_20))
    return Plan(
        mixes=all_mixes(),
        arrivals=8000,
        seeds={
            1.0: {**dict.fromkeys(everybody, 40), CLAIRVOYANT: 20},
            0.85: dict.fromkeys(plainly, 20),
            1.2: dict.fromkeys(plainly, 20),
        },
        queue_seeds={0.9: 20, 1.0: 20},
        queue_mixes=("uniform", "small", "large", "bimodal"),
    )


def quick() -> Plan:
    """Enough to see signs: no figure of it is worth quoting."""
    return Plan(
        mixes=("uniform", "small", "large", "bimodal", DRIFTING),
        arrivals=4000,
        seeds={1.0: {**dict.fromkeys(CONTESTANTS, 5), CLAIRVOYANT: 1}},
        queue_seeds={0.9: 2},
        queue_mixes=("uniform",),
    )
