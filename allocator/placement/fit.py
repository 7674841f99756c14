"""Whether a Pod could run on a node at all, its slices aside.

Checks what decides most: handed over, Ready, cordon, taints, nodeSelector, required node affinity, host ports, CPU, memory,
Pod count and other extended resources. It does not evaluate inter-Pod affinity, hard topology spread or volume zones: a Pod
that the scheduler refuses for those is given a slice elsewhere after a few seconds.
"""

from collections.abc import Sequence

from allocator.placement.fleet import NodeView, Requirement, Wish
from mig.names import PARTITIONING_LABEL, PARTITIONING_MIG


def misfit(wish: Wish, node: NodeView) -> str | None:
    """Why the Pod cannot run there, in words that follow "1 node", or None where it can."""
    facts = node.facts
    if facts.labels.get(PARTITIONING_LABEL) != PARTITIONING_MIG:
        return "not handed over"
    if not facts.ready:
        return "not Ready"
    if facts.cordoned:
        return "cordoned"
    if node.trouble:
        return node.trouble
    for taint in facts.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not any(item.tolerates(taint) for item in wish.tolerations):
            return f"with untolerated taint {taint.key}"
    if any(facts.labels.get(key) != value for key, value in wish.node_selector.items()):
        return "not matching the nodeSelector"
    if wish.affinity is not None and not _matches(wish.affinity, node):
        return "not matching the required node affinity"
    if any(mine.clashes(taken) for mine in wish.host_ports for taken in node.used_ports):
        return "without a free host port"
    short = node.free.shortages(wish.requests)
    return f"with insufficient {', '.join(short)}" if short else None


def _matches(terms: Sequence[Sequence[Requirement]], node: NodeView) -> bool:
    """Terms are alternatives, the requirements of one hold together; an empty term matches nothing."""
    return any(bool(term) and all(_holds(item, node) for item in term) for term in terms)


def _holds(item: Requirement, node: NodeView) -> bool:
    value = node.name if item.on_field and item.key == "metadata.name" else None
    if not item.on_field:
        value = node.facts.labels.get(item.key)
    match item.operator:
        case "In":
            return value in item.values
        case "NotIn":
            return value not in item.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(item, value)
        case _:
            return False


def _compares(item: Requirement, value: str | None) -> bool:
    try:
        have, bound = int(value or ""), int(item.values[0])
    except (ValueError, IndexError):
        return False
    return have > bound if item.operator == "Gt" else have < bound
