"""Where the slices of a Pod go, as a frozen value, and the fleet once they are there."""

from dataclasses import dataclass, replace

from allocator.placement.fleet import NodeView, Wish
from mig.demand import Need
from mig.occupancy import Placed


@dataclass(frozen=True, slots=True)
class Choice:
    """One slice of a Pod at its place. `reuse`: it exists already. `drops`: warm slices that the same write must take away."""

    need: Need
    gpu: str
    placed: Placed
    reuse: bool
    drops: tuple[Placed, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where all slices of a Pod go."""

    node: str
    choices: tuple[Choice, ...]


def taken(node: NodeView, placement: Placement, wish: Wish, *, end: float | None = None) -> NodeView:
    """The node once the placement is taken by a Pod that is expected to end at `end`."""
    gpus = {gpu.uuid: gpu for gpu in node.gpus}
    for choice in placement.choices:
        gpus[choice.gpu] = gpus[choice.gpu].taking(choice.placed, choice.drops, end=end)
    return replace(
        node,
        gpus=tuple(gpus.values()),
        free=node.free.minus(wish.requests),
        used_ports=(*node.used_ports, *wish.host_ports),
    )
