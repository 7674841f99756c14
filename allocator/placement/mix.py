"""The demand mix: which profiles are asked for, learned from what arrives.

A state of a GPU is as good as what the demand of the near future can still do with it, so placement values states under a mix.
Every arrival counts one and fades by half with each `HALF_LIFE` later ones: old enough to smooth chance, young enough to follow a
cluster whose use changes. Before there is evidence, every plain profile of a GPU counts the same. This module says how likely a
profile is, never how good a state is, and knows no Pods: who learns, and once from whom, is the caller's part.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from mig.placements import GpuShape
from mig.profiles import Profile, ProfileNameError, parse_profile

HALF_LIFE: Final = 500
"""Arrivals until one counts half. Source: an own study on 100 GPUs; tables under a mix that is learned with it accept within
0.1 points as many slices as tables under the true mix."""

PRIOR_ARRIVALS: Final = 10.0
"""How many arrivals the belief is worth that all plain profiles of a GPU are equally likely. It never fades.

On four mixes of six profiles, the mean error of the shares (total variation) after 10 arrivals is 0.25 with a prior of 1, 0.17 with
10, 0.16 with 20, 0.18 with 80; on the worst of the mixes 10 is best (0.18). After 1,000 arrivals all up to 20 are equal (0.03): the
prior then is 10 in 720, and what it does is that no plain profile is ever held impossible.
"""

MOST_PROFILES: Final = 64
"""Profiles kept; the lightest goes first. A GPU model offers 6 to 15, and users may ask for what nobody offers."""

_GROWTH: Final = 2.0 ** (1.0 / HALF_LIFE)
_RENORMAL: Final = 2.0**40
"""At this unit all weights are divided by it: once in 20,000 arrivals."""

_MOST_ARRIVALS: Final = 1.0 / (1.0 - 1.0 / _GROWTH) + 0.1
"""What endless arrivals add up to, 721.8, and a little for the rounding of what is stored."""


class MixError(ValueError):
    """A stored mix cannot be read; start afresh."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What arrived, by profile in ascending order, in arrivals: the last one weighs 1, those before it less."""

    weights: tuple[tuple[Profile, float], ...] = ()

    @property
    def arrivals(self) -> float:
        """The evidence behind it, in arrivals; at most 722, however many there were."""
        return sum(weight for _, weight in self.weights)

    def learning(self, profiles: Iterable[Profile]) -> "Mix":
        """The mix after these arrivals, in this order."""
        learner = Learner(self)
        for profile in profiles:
            learner.learn(profile)
        return learner.mix()

    def shares(self, shape: GpuShape) -> tuple[float, ...]:
        """How likely the next arrival, if it is for such a GPU, asks for each of `shape.offers`: aligned with them, sum 1."""
        plain = [not offer.profile.attributes for offer in shape.offers]
        if not any(plain):
            plain = [True] * len(plain)
        # Profiles with attributes (`+me`) are rare wishes: they get a share by being asked for alone.
        prior = PRIOR_ARRIVALS / max(1, sum(plain))
        by_profile = dict(self.weights)
        weights = [
            by_profile.get(offer.profile, 0.0) + prior * equal for offer, equal in zip(shape.offers, plain, strict=True)
        ]
        total = sum(weights)
        return tuple(weight / total for weight in weights)

    def distance(self, other: "Mix") -> float:
        """How far two mixes are apart, 0 to 1: the total variation of all demand, the prior standing for a profile of its own.

        On a shape that offers whatever is asked for, `shares` differ by no more than this. On one that offers a part of it
        they may differ by more: compare those by `variation`.
        """
        mine, theirs = dict(self.weights), dict(other.weights)
        my_total, their_total = self.arrivals + PRIOR_ARRIVALS, other.arrivals + PRIOR_ARRIVALS
        profiles = sorted(mine.keys() | theirs.keys())
        left = [mine.get(profile, 0.0) / my_total for profile in profiles]
        right = [theirs.get(profile, 0.0) / their_total for profile in profiles]
        return variation([*left, PRIOR_ARRIVALS / my_total], [*right, PRIOR_ARRIVALS / their_total])


def variation(left: Sequence[float], right: Sequence[float]) -> float:
    """The total variation of two lists of shares, 0 to 1: the share of demand that would have to change to make them equal."""
    return sum(abs(mine - theirs) for mine, theirs in zip(left, right, strict=True)) / 2


class Learner:
    """A mix in the making: cheap to add to (under a microsecond), to be read when somebody needs it."""

    def __init__(self, mix: Mix | None = None) -> None:
        # Instead of fading everything at each arrival, each arrival weighs more than the one before.
        self._unit = 1.0
        self._weights: dict[Profile, float] = dict(mix.weights) if mix is not None else {}

    def learn(self, profile: Profile) -> None:
        """One arrival."""
        self._unit = unit = self._unit * _GROWTH
        weights = self._weights
        known = weights.get(profile)
        if known is None:
            if len(weights) >= MOST_PROFILES:
                del weights[min(weights, key=lambda other: (weights[other], other))]
            known = 0.0
        weights[profile] = known + unit
        if unit > _RENORMAL:
            self._weights = {kept: weight / unit for kept, weight in weights.items()}
            self._unit = 1.0

    def mix(self) -> Mix:
        """What was learned so far."""
        return Mix(tuple(sorted((profile, weight / self._unit) for profile, weight in self._weights.items())))


def mix_to_json(mix: Mix) -> dict[str, float]:
    """Profile → arrivals, to a thousandth of an arrival: at most 64 short entries."""
    rounded = ((str(profile), round(weight, 3)) for profile, weight in mix.weights)
    return {name: weight for name, weight in rounded if weight > 0}


def mix_from_json(value: object) -> Mix:
    """What `mix_to_json` gave. Raises `MixError` for anything that it never gives; of too many profiles the heaviest stay."""
    if not isinstance(value, dict):
        raise MixError(f"a mix is a JSON object of profiles and weights, not {type(value).__name__}")
    weights = {_profile(name): _weight(name, weight) for name, weight in value.items()}
    if sum(weights.values()) > _MOST_ARRIVALS:
        raise MixError(f"the weights of a mix add up to more than {_MOST_ARRIVALS:.0f}, which no arrivals give")
    return Mix(tuple(sorted(nlargest(MOST_PROFILES, weights.items(), key=lambda item: (item[1], item[0])))))


def _profile(name: object) -> Profile:
    try:
        return parse_profile(str(name))
    except ProfileNameError as error:
        raise MixError(str(error)) from error


def _weight(name: object, weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= _MOST_ARRIVALS:
        raise MixError(f"the weight of {name} is {weight!r:.40}, not a number above 0 and at most {_MOST_ARRIVALS:.0f}")
    return float(weight)
