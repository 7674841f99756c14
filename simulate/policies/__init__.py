"""Placement policies of others, each written from its published description, to stand beside the shipped engine.

Each policy is one file and a `Placer`; `make` knows them by name.
"""

from collections.abc import Callable, Mapping, Sequence

from mig.placements import GpuShape
from simulate.placer import Placer
from simulate.policies.best_fit import BestFit
from simulate.policies.first_fit import FirstFit
from simulate.policies.spread import Spread

_Factory = Callable[[Sequence[GpuShape], int, int], Placer]

_POLICIES: Mapping[str, _Factory] = {
    "first-fit": lambda shapes, per_node, _: FirstFit(shapes, per_node=per_node),
    "spread": lambda shapes, per_node, _: Spread(shapes, per_node=per_node),
    "best-fit": lambda shapes, per_node, _: BestFit(shapes, per_node=per_node),
}

NAMES: tuple[str, ...] = tuple(_POLICIES)
"""Every policy that `make` knows."""


class NoSuchPolicy(ValueError):
    """A policy that is not there; the message lists those that are."""


def make(name: str, shapes: Sequence[GpuShape], *, per_node: int = 8, seed: int = 0) -> Placer:
    """A policy at work on an empty fleet, `per_node` GPUs a node; `seed` matters to those that draw lots.

    Raises `NoSuchPolicy`.
    """
    if name not in _POLICIES:
        raise NoSuchPolicy(f"there is no policy {name!r}; the policies are {', '.join(NAMES)}")
    return _POLICIES[name](shapes, per_node, seed)
