"""Placement policies of others, each written from its published description, to stand beside the shipped engine.

Each policy is one file and a `Placer`; `make` knows them by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.placer import Placer
from simulate.policies.best_fit import BestFit
from simulate.policies.best_index import BestIndex
from simulate.policies.dra import Dra
from simulate.policies.fgd import Fgd
from simulate.policies.first_fit import FirstFit
from simulate.policies.hami import Hami, HamiByMemory
from simulate.policies.instaslice import InstaSlice
from simulate.policies.mfi import Mfi, MfiAll
from simulate.policies.nos import Nos
from simulate.policies.spread import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What a policy is made from."""

    shapes: Sequence[GpuShape]
    per_node: int
    seed: int
    mix: Mapping[Profile, float] | None


_POLICIES: Mapping[str, Callable[[_Order], Placer]] = {
    "first-fit": lambda order: FirstFit(order.shapes, per_node=order.per_node),
    "spread": lambda order: Spread(order.shapes, per_node=order.per_node),
    "best-fit": lambda order: BestFit(order.shapes, per_node=order.per_node),
    "best-index": lambda order: BestIndex(order.shapes, per_node=order.per_node),
    "mfi": lambda order: Mfi(order.shapes, per_node=order.per_node),
    "mfi-all": lambda order: MfiAll(order.shapes, per_node=order.per_node),
    "instaslice": lambda order: InstaSlice(order.shapes, per_node=order.per_node),
    "dra": lambda order: Dra(order.shapes, per_node=order.per_node, seed=order.seed),
    "hami": lambda order: Hami(order.shapes, per_node=order.per_node),
    "hami-memory": lambda order: HamiByMemory(order.shapes, per_node=order.per_node),
    "nos": lambda order: Nos(order.shapes, per_node=order.per_node, seed=order.seed),
    "fgd": lambda order: Fgd(order.shapes, per_node=order.per_node, mix=order.mix),
}

NAMES: tuple[str, ...] = tuple(_POLICIES)
"""Every policy that `make` knows."""


class NoSuchPolicy(ValueError):
    """A policy that is not there; the message lists those that are."""


def make(
    name: str,
    shapes: Sequence[GpuShape],
    *,
    per_node: int = 8,
    seed: int = 0,
    mix: Mapping[Profile, float] | None = None,
) -> Placer:
    """A policy at work on an empty fleet, `per_node` GPUs a node.

    `seed` matters to those that draw lots, `mix` to those that are told the demand. Raises `NoSuchPolicy`.
    """
    if name not in _POLICIES:
        raise NoSuchPolicy(f"there is no policy {name!r}; the policies are {', '.join(NAMES)}")
    return _POLICIES[name](_Order(shapes=shapes, per_node=per_node, seed=seed, mix=mix))
