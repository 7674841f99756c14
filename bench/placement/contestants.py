"""Who stands in the benchmark: the shipped engine in its forms, the policies of others, and the reference above them all.

Each is made anew for each run, on an empty fleet, and told what its description says that it knows: those of others that weigh
demand are told the true mix, ours learns it from the arrivals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.gpu import plain
from bench.placement.cuts import cuts_of
from bench.placement.free_migration import FreeMigration
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.load import Declaring
from simulate.placer import Placer
from simulate.policies import make
from simulate.shipped import Shipped

PER_NODE: Final = 8
"""GPUs a node, as in the usual machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a contestant is made for: a fleet of equal GPUs, the mean demand mix, a seed for those that draw lots."""

    shape: GpuShape
    gpus: int
    mix: Mapping[Profile, float]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One row of the tables. `declaring`: what owners announce of lifetimes in its runs; the arrivals are the same."""

    name: str
    placer: Callable[[Setting], Placer]
    declaring: Declaring | None = None


def _ours(
    setting: Setting,
    *,
    policy: str = "default",
    moves_every: int | None = None,
) -> Placer:
    shapes = [setting.shape] * setting.gpus
    return Shipped(shapes, policy=policy, per_node=PER_NODE, moves_every=moves_every)


def _other(setting: Setting, *, policy: str) -> Placer:
    shapes = [setting.shape] * setting.gpus
    return make(policy, shapes, per_node=PER_NODE, seed=setting.seed, mix=setting.mix)


def _free_migration(setting: Setting) -> Placer:
    return FreeMigration(setting.shape, cuts_of(plain(setting.shape)), gpus=setting.gpus)


DEFAULT: Final = "default"
TINY: Final = "tiny"
FGD: Final = "fgd"
FIRST_FIT: Final = "first-fit"
DURATIONS: Final = "default, durations"
WRONG_DURATIONS: Final = "default, durations wrong by 2"
MOVES_50: Final = "default, a move in 50"
MOVES_20: Final = "default, a move in 20"
FREE_MIGRATION: Final = "free migration"
CLAIRVOYANT: Final = "clairvoyant LP"

OTHERS: Final = (FGD, "mfi", "best-fit", FIRST_FIT, "instaslice", "dra", "hami", "nos", "spread")
OURS: Final = (
    Contestant(name=DEFAULT, placer=_ours),
    Contestant(name=TINY, placer=partial(_ours, policy="tiny")),
    Contestant(name=DURATIONS, placer=_ours, declaring=Declaring()),
    Contestant(name=WRONG_DURATIONS, placer=_ours, declaring=Declaring(error=2.0)),
    Contestant(name=MOVES_50, placer=partial(_ours, moves_every=50)),
    Contestant(name=MOVES_20, placer=partial(_ours, moves_every=20)),
)
CONTESTANTS: Final[Mapping[str, Contestant]] = {
    contestant.name: contestant
    for contestant in (
        *OURS,
        *(Contestant(name=name, placer=partial(_other, policy=name)) for name in OTHERS),
        Contestant(name=FREE_MIGRATION, placer=_free_migration),
    )
}
"""By name, in the order of the tables; the clairvoyant bound is no placer and stands beside them."""
