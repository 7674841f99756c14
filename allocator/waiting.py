"""Pods that wait for slices: each gets all that it needs on one node, or the reason why not.

In order of priority, then age; one that finds no place does not hold up those behind it. What an earlier Pod of the round took
is gone for the later ones. Within a round room only shrinks, so a refusal answers for every later Pod that asks for the same.
"""

from dataclasses import replace
from typing import Final

from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.moving import shunned
from allocator.placement.fleet import NodeView, Reason, Wish
from allocator.placement.place import Placement, Refusal, after, place
from allocator.placement.policy import Policy
from allocator.pods import MigPod

_MOST_LOOKS: Final = 2000
_LEAST_PLACED: Final = 8
"""A placement looks at every node, some 0.1 ms each: a round places as many Pods as keep it near 0.2 s."""


def place_waiting(desk: Desk, fleet: Fleet, policy: Policy) -> None:
    """Reserve slices for all who wait."""
    waiting = [pod for pod in desk.view.pods.values() if _waits(desk, pod)]
    if not waiting:
        return
    queue = _Queue(desk, fleet.views(), policy)
    for pod in sorted(waiting, key=lambda pod: pod.order):
        if len(desk.unmet(pod)) < len(pod.needs):
            # Some of its slices were lost: all go on one node, so it starts afresh.
            desk.give_up(pod.uid)
        if pod.uid not in desk.left and not queue.is_done:
            queue.place(pod)


def _waits(desk: Desk, pod: MigPod) -> bool:
    if pod.node or pod.deleting or not pod.needs:
        return False
    if pod.other_gates:
        names = ", ".join(pod.other_gates)
        desk.says(pod, Reason.OTHER_GATES, f"waits for {names} to be removed; slices are reserved after that")
        return False
    return bool(desk.unmet(pod))


class _Queue:
    """The fleet as it shrinks, the refusals so far, and how many more Pods this round may place."""

    def __init__(self, desk: Desk, nodes: tuple[NodeView, ...], policy: Policy) -> None:
        self._desk = desk
        self._nodes = nodes
        self._policy = policy
        self._avoid = frozenset(desk.notes.avoided)
        self._refusals: list[tuple[Wish, frozenset[str], Refusal]] = []
        self._left = max(_LEAST_PLACED, _MOST_LOOKS // max(1, len(nodes)))

    @property
    def is_done(self) -> bool:
        """Whether the rest waits for the next round, which the writes of this one bring about at once."""
        return self._left <= 0

    def place(self, pod: MigPod) -> None:
        """Reserve for one Pod, or say why not."""
        anyone = replace(pod.wish, uid="", namespace="", name="")
        shuns = shunned(self._desk, pod)
        known = next((item for wish, nodes, item in self._refusals if wish == anyone and nodes == shuns), None)
        answer = known or place(
            pod.wish,
            self._nodes,
            geometries=self._desk.view.geometries,
            policy=self._policy,
            avoid=self._avoid,
            avoid_nodes=shuns,
        )
        if isinstance(answer, Placement):
            self._take(pod, answer)
            return
        if known is None:
            self._refusals.append((anyone, shuns, answer))
        self._desk.says(pod, answer.reason, answer.message)

    def _take(self, pod: MigPod, placement: Placement) -> None:
        desk, node = self._desk, placement.node
        for choice in placement.choices:
            for warm in choice.drops:
                desk.remove(node, choice.gpu, warm)
            if not choice.reuse:
                desk.add(node, choice.gpu, choice.placed)
            desk.claim(node, choice.gpu, choice.placed, pod, choice.need)
        desk.placed[pod.uid] = node
        self._left -= 1
        self._nodes = after(self._nodes, placement, pod.wish)
