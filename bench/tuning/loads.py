"""Generated load as arrays: the simulator's own, so that what is tuned here is met there.

One seed gives one trace a mix, whatever is declared of lifetimes. Seeds of the search, of the study and of the benchmark are
disjoint: the study's start at 2,000, the search's at 9,000, the benchmark's at 1,000,000.
"""

from typing import NamedTuple

import numpy as np

from bench.tuning.tables import Floats, Ints
from mig.placements import GpuShape
from simulate.load import Declaring, Load, generate, named_load

MIXES = ("uniform", "small", "large", "bimodal")
GPUS = 100
ARRIVALS = 8000
CUT = ARRIVALS // 4
"""Arrivals that are served and not counted: the fleet starts empty."""

UNDECLARED = -1.0


class Trace(NamedTuple):
    """Arrivals in order; the mean lifetime is 1. `told` is the declared one, or `UNDECLARED`."""

    at: Floats
    kind: Ints
    lasts: Floats
    told: Floats


def trace(
    mix: str,
    seed: int,
    *,
    shape: GpuShape,
    declaring: Declaring | None,
    gpus: int = GPUS,
    arrivals: int = ARRIVALS,
) -> Trace:
    """A load of 1.0 of a named mix on equal GPUs."""
    load = Load(mix=named_load(mix), load=1.0, arrivals=arrivals, lifetime=1.0, declaring=declaring)
    rows = list(generate(load, shapes=[shape] * gpus, seed=seed))
    kinds = {offer.profile: kind for kind, offer in enumerate(shape.offers)}
    told = np.array([UNDECLARED if row.declared is None else row.declared for row in rows])
    return Trace(
        np.array([row.at for row in rows]),
        np.array([kinds[row.profile] for row in rows]),
        np.array([row.lasts for row in rows]),
        told,
    )


def shares(mix: str, shape: GpuShape) -> tuple[float, ...]:
    """A named mix by kind, normalised."""
    named = named_load(mix)
    assert isinstance(named, dict), "a drifting mix has no one table"
    total = sum(named.values())
    return tuple(named.get(offer.profile, 0.0) / total for offer in shape.offers)
