"""Pods that wait for slices: each gets all that it needs on one node, or the reason why not.

In order of priority, then age; one that finds no place does not hold up those behind it. All are planned before anything is
reserved.
"""

import logging
from typing import Final

from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.moving import shunned
from allocator.placement.batch import Waiting, plan
from allocator.placement.engine import Engine
from allocator.placement.explain import Decision
from allocator.placement.fleet import Reason, Wish
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal
from allocator.placement.wording import as_fields, wanted
from allocator.pods import MigPod

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 1000
"""Pods placed in one round: some 0.1 s of thought, and as much as the API server takes in seconds. The rest is next
round's, which the writes of this one bring about at once."""


def place_waiting(desk: Desk, fleet: Fleet, engine: Engine) -> None:
    """Reserve slices for all who wait."""
    ready = queue(desk)
    if not ready:
        return
    engine.sync(fleet.views(), geometries=desk.view.geometries, avoid=frozenset(desk.notes.avoided))
    why: dict[int, Decision] | None = {} if log.isEnabledFor(logging.DEBUG) else None
    asked = [Waiting(pod.wish, shunned(desk, pod)) for pod in ready]
    answers = plan(engine, asked, most=MOST_AT_ONCE, why=why)
    for index, (pod, answer) in enumerate(zip(ready, answers, strict=False)):
        if isinstance(answer, Placement):
            _take(desk, pod, answer)
        else:
            desk.says(pod, answer.reason, answer.message)
        if why is not None:
            _log(pod.wish, answer if isinstance(answer, Refusal) else why[index])


def queue(desk: Desk) -> list[MigPod]:
    """Who waits for a place, in the order in which they are served; one that has lost a part of its slices gives up the rest."""
    waiting = sorted((pod for pod in desk.view.pods.values() if _waits(desk, pod)), key=lambda pod: pod.order)
    for pod in waiting:
        if len(desk.unmet(pod)) < len(pod.needs):
            # Some of its slices were lost: all go on one node, so it starts afresh.
            desk.give_up(pod.uid)
    return [pod for pod in waiting if pod.uid not in desk.left]


def _log(wish: Wish, answer: Decision | Refusal) -> None:
    """One line a decision: the place with its reason and the runner-up, or the refusal with its reason."""
    asked = {"pod": f"{wish.namespace}/{wish.name}", "uid": wish.uid, "slices": wanted(wish)}
    if isinstance(answer, Refusal):
        log.debug("refused", extra={**asked, "reason": str(answer.reason), "why": answer.message})
    else:
        log.debug("placed", extra={**asked, **as_fields(answer)})


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
