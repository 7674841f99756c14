"""Where a Pod's slices go, asked once: the engine as a function, for who keeps nothing between questions."""

from collections.abc import Sequence

from allocator.placement.engine import Engine
from allocator.placement.fleet import NodeView, Wish
from allocator.placement.placement import Choice, Placement, taken
from allocator.placement.policy import Policy
from allocator.placement.racks import Avoid
from allocator.placement.refusal import Refusal
from mig.geometries import Geometries

__all__ = ["Choice", "Placement", "Refusal", "after", "place"]


def place(
    wish: Wish,
    nodes: Sequence[NodeView],
    *,
    geometries: Geometries,
    policy: Policy,
    avoid: Avoid = frozenset(),
    avoid_nodes: frozenset[str] = frozenset(),
) -> Placement | Refusal:
    """The best place for all slices of a Pod, or why there is none.

    `avoid` names (node, GPU, start) where making a slice failed lately, `avoid_nodes` nodes that the scheduler would not take.
    """
    engine = Engine(policy)
    engine.sync(nodes, geometries=geometries, avoid=avoid)
    return engine.place(wish, shunned=avoid_nodes)


def after(nodes: Sequence[NodeView], placement: Placement, wish: Wish) -> tuple[NodeView, ...]:
    """The fleet once the placement is taken: what the next Pod sees."""
    return tuple(taken(node, placement, wish) if node.name == placement.node else node for node in nodes)
