"""Whether a Pod could run on a node at all, its slices aside.

Checks what decides most, by the scheduler's own rules: cordon, taints, nodeSelector, required node affinity, host ports, CPU,
memory, ephemeral storage, Pod count and other extended resources; and what is ours: handed over, Ready. It does not evaluate
inter-Pod affinity, hard topology spread or volume zones: a Pod that the scheduler refuses for those is given a slice elsewhere
after a few seconds.
"""

import re
from collections.abc import Sequence
from typing import Final

from allocator.placement.fleet import NodeView, Requirement, Taint, Wish
from mig.names import PARTITIONING_LABEL, PARTITIONING_MIG

_CORDON: Final = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
"""Whoever tolerates this taint goes to a cordoned node, too, also before the taint is on it."""

_INTEGER: Final = re.compile(r"[0-9]{1,63}", re.ASCII)
"""Of legal label values those that Go reads as a number; Python's `int` would read `1_000`, too."""
_INT64: Final = 2**63


def misfit(wish: Wish, node: NodeView) -> str | None:
    """Why the Pod cannot run there, in words that follow "1 node", or None where it can."""
    return unsuited(wish, node) or shortage(wish, node)


def unsuited(wish: Wish, node: NodeView) -> str | None:
    """What of it does not depend on the other Pods there: equal nodes give equal answers, their names aside."""
    facts = node.facts
    if facts.labels.get(PARTITIONING_LABEL) != PARTITIONING_MIG:
        return "not handed over"
    if not facts.ready:
        return "not Ready"
    if facts.cordoned and not any(item.tolerates(_CORDON) for item in wish.tolerations):
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
    return None


def shortage(wish: Wish, node: NodeView) -> str | None:
    """What of it the other Pods there take."""
    if wish.host_ports and any(mine.clashes(taken) for mine in wish.host_ports for taken in node.used_ports):
        return "without a free host port"
    short = node.free.shortages(wish.requests)
    return f"with insufficient {', '.join(short)}" if short else None


def _matches(terms: Sequence[Sequence[Requirement]], node: NodeView) -> bool:
    """Terms are alternatives, the requirements of one hold together; an empty term matches nothing."""
    return any(bool(term) and all(_holds(item, node) for item in term) for term in terms)


def _holds(item: Requirement, node: NodeView) -> bool:
    if item.on_field:
        return _holds_of_name(item, node.name)
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


def _holds_of_name(item: Requirement, name: str) -> bool:
    """A node has one field, its name; a field is compared with one value, for being it or not, and matches nothing else."""
    if len(item.values) != 1 or item.operator not in ("In", "NotIn"):
        return False
    return ((name if item.key == "metadata.name" else "") == item.values[0]) == (item.operator == "In")


def _compares(item: Requirement, value: str | None) -> bool:
    have = _integer(value)
    bound = _integer(item.values[0]) if len(item.values) == 1 else None
    if have is None or bound is None:
        return False
    return have > bound if item.operator == "Gt" else have < bound


def _integer(text: str | None) -> int | None:
    number = int(text) if text is not None and _INTEGER.fullmatch(text) else None
    return number if number is not None and number < _INT64 else None
