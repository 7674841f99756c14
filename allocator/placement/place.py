"""Where a Pod's slices go: one pure function of the fleet and the Pod.

Node fit first, then the search for the best place, then, where there is none, the sharpest true reason. The rest of the
allocator knows placement by this module alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from allocator.placement.fit import misfit
from allocator.placement.fleet import NodeView, Wish
from allocator.placement.policy import Policy
from allocator.placement.refusal import Refusal, refuse
from allocator.placement.search import Choice, Placement, Placer
from mig.geometries import Geometries

__all__ = ["Choice", "Placement", "Refusal", "after", "place"]


def place(
    wish: Wish,
    nodes: Sequence[NodeView],
    *,
    geometries: Geometries,
    policy: Policy,
    avoid: frozenset[tuple[str, str, int]] = frozenset(),
    avoid_nodes: frozenset[str] = frozenset(),
) -> Placement | Refusal:
    """The best place for all slices of a Pod, or why there is none.

    `avoid` names (node, GPU, start) where making a slice failed lately, `avoid_nodes` nodes that the scheduler would not take.
    """
    misfits = {
        node.name: "lately refused by the scheduler" if node.name in avoid_nodes else misfit(wish, node)
        for node in nodes
    }
    fitting = [node for node in nodes if misfits[node.name] is None]
    placer = Placer(geometries, policy, avoid)
    return placer.best(wish, fitting) or refuse(wish, nodes, misfits=misfits, placer=placer)


def after(nodes: Sequence[NodeView], placement: Placement, wish: Wish) -> tuple[NodeView, ...]:
    """The fleet once the placement is taken: what the next Pod of the same round sees."""
    return tuple(_taken(node, placement, wish) if node.name == placement.node else node for node in nodes)


def _taken(node: NodeView, placement: Placement, wish: Wish) -> NodeView:
    gpus = {gpu.uuid: gpu for gpu in node.gpus}
    for choice in placement.choices:
        gpus[choice.gpu] = gpus[choice.gpu].taking(choice.placed, choice.drops)
    return replace(
        node,
        gpus=tuple(gpus.values()),
        free=node.free.minus(wish.requests),
        used_ports=(*node.used_ports, *wish.host_ports),
    )
