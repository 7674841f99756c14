"""Pods that wait for slices: each gets all that it needs on one node, or the reason why not.

In order of priority, then age; one that finds no place does not hold up those behind it. All are planned before anything is
reserved.
"""

from typing import Final

from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.moving import shunned
from allocator.placement.batch import Waiting, plan
from allocator.placement.engine import Engine
from allocator.placement.fleet import Reason
from allocator.placement.placement import Placement
from allocator.pods import MigPod

MOST_AT_ONCE: Final = 1000
"""Pods placed in one round: some 0.1 s of thought, and as much as the API server takes in seconds. The rest is next
round's, which the writes of this one bring about at once."""


def place_waiting(desk: Desk, fleet: Fleet, engine: Engine) -> None:
    """Reserve slices for all who wait."""
    waiting = sorted((pod for pod in desk.view.pods.values() if _waits(desk, pod)), key=lambda pod: pod.order)
    for pod in waiting:
        if len(desk.unmet(pod)) < len(pod.needs):
            # Some of its slices were lost: all go on one node, so it starts afresh.
            desk.give_up(pod.uid)
    ready = [pod for pod in waiting if pod.uid not in desk.left]
    if not ready:
        return
    engine.sync(fleet.views(), geometries=desk.view.geometries, avoid=frozenset(desk.notes.avoided))
    answers = plan(engine, [Waiting(pod.wish, shunned(desk, pod)) for pod in ready], most=MOST_AT_ONCE)
    for pod, answer in zip(ready, answers, strict=False):
        if isinstance(answer, Placement):
            _take(desk, pod, answer)
        else:
            desk.says(pod, answer.reason, answer.message)


def _waits(desk: Desk, pod: MigPod) -> bool:
    if pod.node or pod.deleting or not pod.needs:
        return False
    if pod.other_gates:
        names = ", ".join(pod.other_gates)
        desk.says(pod, Reason.OTHER_GATES, f"waits for {names} to be removed; slices are reserved after that")
        return False
    return bool(desk.unmet(pod))


def _take(desk: Desk, pod: MigPod, placement: Placement) -> None:
    node = placement.node
    for choice in placement.choices:
        for warm in choice.drops:
            desk.remove(node, choice.gpu, warm)
        if not choice.reuse:
            desk.add(node, choice.gpu, choice.placed)
        desk.claim(node, choice.gpu, choice.placed, pod, choice.need)
    desk.placed[pod.uid] = node
