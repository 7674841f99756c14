"""Generated load: Poisson arrivals of Pods with one slice each, exponential lifetimes, a demand mix that stays or drifts.

Load is measured against the fleet: at 1.0 the memory slices that are asked for would, on average, fill every GPU exactly. Equal
seeds give equal arrivals, whatever is declared of their lifetimes: what is declared comes from a chance of its own, so that runs
with and without it can be compared pair by pair. Nothing here knows a policy.
"""

import json
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import cos, pi
from pathlib import Path
from random import Random
from typing import NamedTuple

from mig.placements import GpuShape
from mig.profiles import Profile, parse_profile

Mix = Mapping[Profile, float]
"""How often each profile is asked for; weights, of any sum."""


class Arrival(NamedTuple):
    """One Pod that asks for one slice. Times are seconds.

    `lasts` counts from its start. `declared` is the lifetime that its owner announced, right or wrong. The higher `priority` goes
    first in a queue.
    """

    at: float
    lasts: float
    profile: Profile
    declared: float | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """A mix that moves from one to another and back, `cycles` times over the run, as a cosine does."""

    start: Mix
    end: Mix
    cycles: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaring:
    """What owners announce of lifetimes: the truth times `bias`, and by a coin's flip times or divided by `error`.

    `share` of the Pods announce anything.
    """

    bias: float = 1.0
    error: float = 1.0
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load to generate: the mix, how much of the fleet is asked for, how many arrivals, and their mean lifetime in seconds."""

    mix: Mix | Drift
    load: float
    arrivals: int
    lifetime: float = 3600.0
    declaring: Declaring | None = None


class LoadError(ValueError):
    """A load that cannot be generated on this fleet; the message says what to change."""


@cache
def named_mixes() -> Mapping[str, Mix]:
    """The mixes of `mixes.json` by name, each over the profiles of an 80 GB card."""
    document = json.loads(Path(__file__).with_name("mixes.json").read_text())
    profiles = [parse_profile(name) for name in document["profiles"]]
    return {name: dict(zip(profiles, weights, strict=True)) for name, weights in document["mixes"].items()}


def named_load(name: str) -> Mix | Drift:
    """A mix by name, or `drifting`: from the small mix to the large one and back.

    Raises `LoadError` that lists the names.
    """
    mixes = named_mixes()
    if name == "drifting":
        return Drift(mixes["small"], mixes["large"])
    if name not in mixes:
        raise LoadError(f"there is no mix {name!r}; the mixes are {', '.join(sorted([*mixes, 'drifting']))}")
    return mixes[name]


def slice_sizes(shapes: Sequence[GpuShape]) -> dict[Profile, int]:
    """How many memory slices each profile takes, by the first GPU of the fleet that offers it."""
    sizes: dict[Profile, int] = {}
    for shape in dict.fromkeys(shapes):
        for offer in shape.offers:
            sizes.setdefault(offer.profile, offer.size)
    return sizes


def fleet_slices(shapes: Sequence[GpuShape]) -> int:
    """The memory slices of all GPUs together."""
    return sum(shape.width for shape in shapes)


def generate(load: Load, *, shapes: Sequence[GpuShape], seed: int) -> Iterator[Arrival]:
    """The arrivals of a load on a fleet, in order of time.

    The rate follows a drifting mix, so that the slices asked for stay the same. Raises `LoadError` where the mix names a profile
    that no GPU of the fleet offers.
    """
    rng, coin = Random(f"{seed}/arrivals"), Random(f"{seed}/declared")  # noqa: S311 - no secret hangs on it
    drift = load.mix if isinstance(load.mix, Drift) else Drift(load.mix, load.mix, 0.0)
    sizes = slice_sizes(shapes)
    start, end = _Draw(drift.start, sizes), _Draw(drift.end, sizes)
    per_second = load.load * fleet_slices(shapes) / load.lifetime
    at, turn = 0.0, 2.0 * pi * drift.cycles / max(1, load.arrivals)
    for index in range(load.arrivals):
        # Drawing from one of two mixes by chance is drawing from their mixture.
        share = 0.5 - 0.5 * cos(turn * index) if turn else 0.0
        at += rng.expovariate(per_second / (start.size + share * (end.size - start.size)))
        draw = end if share and rng.random() < share else start
        profile = draw.profiles[bisect(draw.bounds, rng.random(), hi=draw.last)]
        lasts = rng.expovariate(1.0 / load.lifetime)
        yield Arrival(at, lasts, profile, _declared(lasts, load.declaring, coin))


def _declared(lasts: float, declaring: Declaring | None, coin: Random) -> float | None:
    if declaring is None or (declaring.share < 1.0 and coin.random() >= declaring.share):
        return None
    return lasts * declaring.bias * (declaring.error if coin.random() < 0.5 else 1.0 / declaring.error)


class _Draw:
    """A mix made ready for drawing: bounds in [0, 1], and the mean size of what is drawn."""

    def __init__(self, mix: Mix, sizes: Mapping[Profile, int]) -> None:
        missing = [str(profile) for profile in mix if profile not in sizes]
        if missing:
            offered = ", ".join(str(profile) for profile in sorted(sizes))
            raise LoadError(f"no GPU of this fleet offers {', '.join(missing)}; write a mix over {offered}")
        total = sum(mix.values())
        if total <= 0 or min(mix.values()) < 0:
            raise LoadError("a mix needs weights that are not negative, and one of them positive")
        self.profiles = tuple(mix)
        self.last = len(self.profiles) - 1
        self.bounds = tuple(bound / total for bound in accumulate(mix.values()))
        self.size = sum(sizes[profile] * weight for profile, weight in mix.items()) / total
