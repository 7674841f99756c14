"""Pods that wait for slices: each gets all that it needs on one node, or the reason why not.

In order of priority, then age; one that finds no place does not hold up those behind it. What an earlier Pod of the round took
is gone for the later ones. Within a round room only shrinks, so a refusal answers for every later Pod that asks for the same.
"""

from dataclasses import replace
from typing import Final

from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.moving import shunned
from allocator.placement.engine import Engine
from allocator.placement.fleet import Reason, Wish
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal
from allocator.pods import MigPod

MOST_AT_ONCE: Final = 1000
"""Pods placed in one round: some 0.1 s of thought, and as much as the API server takes in seconds."""


def place_waiting(desk: Desk, fleet: Fleet, engine: Engine) -> None:
    """Reserve slices for all who wait."""
    waiting = [pod for pod in desk.view.pods.values() if _waits(desk, pod)]
    if not waiting:
        return
    engine.sync(fleet.views(), geometries=desk.view.geometries, avoid=frozenset(desk.notes.avoided))
    queue = _Queue(desk, engine)
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

    def __init__(self, desk: Desk, engine: Engine) -> None:
        self._desk = desk
        self._engine = engine
        self._refusals: list[tuple[Wish, frozenset[str], Refusal]] = []
        self._left = MOST_AT_ONCE

    @property
    def is_done(self) -> bool:
        """Whether the rest waits for the next round, which the writes of this one bring about at once."""
        return self._left <= 0

    def place(self, pod: MigPod) -> None:
        """Reserve for one Pod, or say why not."""
        anyone = replace(pod.wish, uid="", namespace="", name="")
        shuns = shunned(self._desk, pod)
        known = next((item for wish, nodes, item in self._refusals if wish == anyone and nodes == shuns), None)
        answer = known or self._engine.place(pod.wish, shunned=shuns)
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
        self._engine.take(pod.wish, placement)
