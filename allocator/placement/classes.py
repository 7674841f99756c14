"""Nodes that are alike to every Pod asked about so far, so that whether they suit a Pod is asked once a class.

A class is what a node says of itself: handed over, Ready, cordoned, its trouble, taints, and the labels that some Pod's selector or
affinity has named. Labels that tell almost every node from the others (hostnames), and expressions on the node's name, would make a
class of each node: they are left to a look at each node. What the Pods on a node take of it is not in here either.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from allocator.placement.fit import unsuited
from allocator.placement.fleet import NodeView, Taint, Wish
from mig.names import PARTITIONING_LABEL

MOST_VALUES: Final = 64
"""A label with more values than this over the fleet is left to the look at each node, also if they come later."""

MOST_LABELS: Final = 32
"""Labels that classes tell apart; those that are named later are left to the look at each node."""

Class = tuple[str | None, bool, bool, str, tuple[Taint, ...], tuple[str | None, ...]]


class Classes:
    """Which labels matter, and which classes suit a Pod."""

    def __init__(self) -> None:
        self._labels: tuple[str, ...] = ()
        self._fine: set[str] = set()
        """Labels that were looked at and left to the look at each node: a note, so that they are not looked at for every Pod."""
        self._suited: dict[tuple[object, ...], tuple[Class, ...]] = {}
        self._samples: dict[Class, NodeView] = {}
        self._many = MOST_VALUES
        """With more classes than this it is time to see whether a label has come to have too many values."""

    def of(self, node: NodeView) -> Class:
        """The class of a node."""
        facts = node.facts
        labels = tuple(facts.labels.get(label) for label in self._labels)
        return facts.labels.get(PARTITIONING_LABEL), facts.ready, facts.cordoned, node.trouble, facts.taints, labels

    def meet(self, kind: Class, node: NodeView) -> None:
        """A node of this class has come."""
        if kind not in self._samples:
            self._samples[kind] = node
            self._suited.clear()

    def forget(self, gone: Class) -> None:
        """No node is of this class any more."""
        self._samples.pop(gone, None)
        self._suited.clear()

    def learn(self, wish: Wish, nodes: Iterable[NodeView]) -> bool:
        """Take in the labels that a Pod names; True where the classes of the nodes are others now, to be met anew."""
        before = self._labels
        fresh = _named(wish) - set(before) - self._fine - {PARTITIONING_LABEL}
        if fresh:
            views = tuple(nodes)
            found = {label: {view.facts.labels.get(label) for view in views} for label in fresh}
            coarse = sorted(label for label, seen in found.items() if seen - {None} and len(seen) <= MOST_VALUES)
            coarse = coarse[: MOST_LABELS - len(self._labels)]
            # What no node has yet may come to tell few classes apart: it is asked about again.
            self._note({label for label, seen in found.items() if seen - {None}} - set(coarse))
            self._labels += tuple(coarse)
        if len(self._samples) > self._many:
            self._thin()
        if self._labels != before:
            self._samples.clear()
            self._suited.clear()
        return self._labels != before

    def _thin(self) -> None:
        """Leave the labels that have come to tell too many nodes apart to the look at each node."""
        seen = [{sample[-1][place] for sample in self._samples} for place in range(len(self._labels))]
        many = {label for label, values in zip(self._labels, seen, strict=True) if len(values) > MOST_VALUES}
        self._note(many)
        self._labels = tuple(label for label in self._labels if label not in many)
        self._many = MOST_VALUES if many else 2 * len(self._samples)

    def _note(self, fine: set[str]) -> None:
        if len(self._fine) >= _KNOWN_AT_MOST:
            self._fine.clear()
        self._fine |= fine

    def decides(self, wish: Wish) -> bool:
        """Whether the class says all that there is to say of whether a node suits the Pod."""
        fields = any(item.on_field for term in wish.affinity or () for item in term)
        return not fields and _named(wish) <= {*self._labels, PARTITIONING_LABEL}

    def suiting(self, wish: Wish) -> tuple[Class, ...]:
        """The classes that suit a Pod; where they do not decide, the classes that may."""
        key = tuple(sorted(wish.node_selector.items())), wish.affinity, wish.tolerations
        known = self._suited.get(key)
        if known is None:
            asked = wish if self.decides(wish) else replace(wish, node_selector={}, affinity=None)
            if len(self._suited) >= _KNOWN_AT_MOST:
                self._suited.clear()
            known = tuple(it for it, node in self._samples.items() if unsuited(asked, node) is None)
            self._suited[key] = known
        return known


_KNOWN_AT_MOST: Final = 1024
"""Pods' demands, and labels, that are remembered."""


def _named(wish: Wish) -> set[str]:
    named = set(wish.node_selector)
    if wish.affinity is not None:
        named |= {item.key for term in wish.affinity for item in term if not item.on_field}
    return named
