"""What each Pod that is not bound is told, and when.

The condition changes only when there is something new to say. A Pod that gets its slices within a second is spared the interim
news; after that its reason is written at once, and a mere change of wording not more often than a person would read it.
"""

from dataclasses import replace
from typing import Final

from allocator.decisions import Outcome, PodWrite
from allocator.desk import Desk
from allocator.placement.fleet import Reason
from allocator.pods import MigPod

FIRST_WORD_S: Final = 1.0
"""How long a Pod that waits may go without a word; with the tick of the loop it is told within 2 s."""

ON_ITS_WAY_S: Final = 3.0
"""The same for a Pod that has its place and only waits for hardware: in a burst, that word would delay the slices themselves."""

REWORD_S: Final = 15.0
"""At most so often is a condition rewritten whose reason stays."""

MOST_AT_ONCE: Final = 64
"""Conditions written in one round: what waits longest goes first."""


def tell(desk: Desk) -> None:
    """Add the condition to every write that is due, and a write for every condition that is."""
    writing = {write.pod.uid: place for place, write in enumerate(desk.pod_writes)}
    budget = MOST_AT_ONCE
    for uid, since in sorted(desk.notes.first_seen.items(), key=lambda item: item[1]):
        pod, outcome = desk.view.pods[uid], desk.outcomes.get(uid)
        if outcome is None or not _is_due(desk, pod, outcome, since):
            continue
        if uid in writing:
            desk.pod_writes[writing[uid]] = replace(desk.pod_writes[writing[uid]], outcome=outcome)
        elif budget > 0:
            budget -= 1
            desk.pod_writes.append(PodWrite(pod, outcome))
        else:
            continue
        desk.notes.written[uid] = desk.now


def _is_due(desk: Desk, pod: MigPod, outcome: Outcome, since: float) -> bool:
    told = pod.condition
    if told is not None and (told.reason, told.message) == (outcome.reason, outcome.message):
        return False
    if outcome.reason is Reason.ALLOCATED and not pod.gated:
        return told is None or told.reason != Reason.ALLOCATED
    if told is None:
        return desk.now - since >= (ON_ITS_WAY_S if outcome.reason is Reason.CREATING else FIRST_WORD_S)
    if told.reason != outcome.reason:
        return True
    return desk.now - desk.notes.written.get(pod.uid, -REWORD_S) >= REWORD_S
