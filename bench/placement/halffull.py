"""Twenty Pods at once on ten GPUs that are half full: whether all are placed that can be, and only the GPUs touched that must be.

Each policy fills ten GPUs by its own choices, half of what runs ends by chance, and twenty Pods ask in a row for about as much as
is free. Running slices stay where they are. What can be: taken in order, each Pod for which, with those before it, there is some
arrangement beside what runs; an integer programme over what each GPU can still take decides that exactly, and on how few GPUs.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]

from allocator.placement.states import StateSpace, space_of
from bench.gpu import a100, plain
from bench.placement.contestants import CONTESTANTS, Setting
from bench.placement.plan import mean_mix
from mig.occupancy import Placed
from mig.profiles import Profile, parse_profile
from simulate.placer import Spot

GPUS: Final = 10
PODS: Final = 20
ASKED: Final = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb")
"""The profiles that the twenty ask for, equally often: 45 memory slices on average, where 40 and some are free."""

_OPTIMAL, _INFEASIBLE = 0, 2  # the solver's codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Pods placed, and those that can be; GPUs that got a new slice, and the fewest on which the placed Pods fit."""

    placed: int
    possible: int
    touched: int
    needed: int


def half_full(contestant: str, *, rounds: int) -> list[Round]:
    """So many rounds of one contestant, each with a seed of its own."""
    return [_round(contestant, seed) for seed in range(rounds)]


def _round(contestant: str, seed: int) -> Round:
    rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
    setting = Setting(shape=a100(), gpus=GPUS, mix=mean_mix("uniform"), seed=seed)
    placer = CONTESTANTS[contestant].placer(setting)
    mix = mean_mix("uniform")
    asked = rng.choices(list(mix), list(mix.values()), k=200)
    running = [spot for profile in asked if (spot := placer.place(profile, now=0.0)) is not None]
    rng.shuffle(running)
    while sum(spot.placed.window.size for spot in running) > GPUS * a100().width / 2:
        placer.release(running.pop(), now=1.0)
    profiles = [parse_profile(rng.choice(ASKED)) for _ in range(PODS)]
    room = Room(running)
    placed = [(profile, spot) for profile in profiles if (spot := placer.place(profile, now=2.0)) is not None]
    return Round(
        placed=len(placed),
        possible=len(room.in_order(profiles)),
        touched=len({spot.gpu for _, spot in placed if not spot.reused}),
        needed=room.fewest([profile for profile, _ in placed]) or 0,
    )


class Room:
    """What ten GPUs can take beside what runs there."""

    def __init__(self, running: Sequence[Spot]) -> None:
        space = space_of(plain(a100()))
        self._profiles = tuple(parse_profile(name) for name in ASKED)
        by_gpu = [[spot.placed for spot in running if spot.gpu == gpu] for gpu in range(GPUS)]
        choices = [
            (gpu, more) for gpu, placed in enumerate(by_gpu) for more in _additions(space, placed, self._profiles)
        ]
        self._one_each = np.array([[float(gpu == other) for other, _ in choices] for gpu in range(GPUS)])
        self._counts = np.array([[float(more[index]) for _, more in choices] for index in range(len(ASKED))])

    def in_order(self, asked: Sequence[Profile]) -> list[Profile]:
        """Who can be placed when nobody is passed over that fits."""
        taken: list[Profile] = []
        for profile in asked:
            if self.fewest([*taken, profile]) is not None:
                taken.append(profile)
        return taken

    def fewest(self, asked: Sequence[Profile]) -> int | None:
        """On how few GPUs all of them fit, or None where they do not fit at all."""
        wanted = Counter(asked)
        answer = milp(
            np.ones(self._counts.shape[1]),
            constraints=[
                LinearConstraint(self._one_each, ub=np.ones(GPUS)),
                LinearConstraint(self._counts, lb=np.array([float(wanted[profile]) for profile in self._profiles])),
            ],
            integrality=np.ones(self._counts.shape[1]),
            bounds=Bounds(0, 1),
        )
        if answer.status not in (_OPTIMAL, _INFEASIBLE):
            raise ArithmeticError(f"the integer programme of {GPUS} GPUs was not solved: {answer.message}")
        return round(answer.fun) if answer.status == _OPTIMAL else None


def _additions(space: StateSpace, placed: Sequence[Placed], profiles: Sequence[Profile]) -> set[tuple[int, ...]]:
    """What a GPU can take beside what lies there, as counts of the profiles; nothing at all left out."""
    kinds = [space.kinds[profile] for profile in profiles]
    found: set[tuple[int, ...]] = set()
    seen = {(space.of(placed), (0,) * len(kinds))}
    frontier = list(seen)
    while frontier:
        state, counts = frontier.pop()
        for index, kind in enumerate(kinds):
            more = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
            grown = {(after, more) for _, after in space.places(state, kind)} - seen
            seen |= grown
            frontier += grown
            found |= {counts for _, counts in grown}
    return found
