"""How one slice is taken away without harming anybody: the order, as a pure state machine.

Lower the count (`HELD`); when the Node shows it (`SHOWN`), a moment has passed since for bindings under way, and every bound Pod
has its device, withdraw the device (`WITHDRAWN`); when the kubelet no longer offers it and the Node shows the count again, look
once more; nobody there: destroy. Wanted again or taken meanwhile: back to where it was. The id itself is dropped later.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

SETTLE_S: Final = 0.15
"""A scheduler that decided on the old count has sent its binding so long after the Node shows the lower one, whenever that was
written; measured, decision to binding takes 5 to 50 ms."""

DROP_AFTER_S: Final = 2.0
"""An Allocate under way for an id that left the list can crash the kubelet; ours are answered within milliseconds."""


class Stage(Enum):
    """How far the taking away of one slice has come."""

    PRESENT = auto()
    HELD = auto()
    SHOWN = auto()
    WITHDRAWN = auto()


class Action(Enum):
    """What to do about it now."""

    WAIT = auto()
    HOLD = auto()
    """Count one less as allocatable."""
    SETTLE = auto()
    """The Node shows it: let a moment pass from now on."""
    WITHDRAW = auto()
    """Mark the device Unhealthy."""
    LOOK = auto()
    """Look once more whether somebody uses it, and destroy it if nobody does."""
    RETURN = auto()
    """Offer it again, count it again."""
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the next step depends on. `age_s` is the time since the stage began."""

    unwanted: bool
    used: bool
    age_s: float = 0.0
    kubelet_answers: bool = True
    count_shown: bool = False
    """The Node shows the count that we mean, by its watch."""
    pods_without_device: bool = False
    """A Pod is bound here that asks for this profile and has no device yet."""
    offered: bool = True
    """The kubelet would hand it out."""


def next_action(stage: Stage, facts: Facts) -> Action:
    """The next step for one slice."""
    if not facts.unwanted or facts.used:
        return Action.NOTHING if stage is Stage.PRESENT else Action.RETURN
    if stage is Stage.PRESENT:
        return Action.HOLD
    if not facts.kubelet_answers:
        return Action.WAIT
    if not facts.count_shown:  # not yet, or the kubelet wrote its older one: a scheduler may have decided on that
        return Action.HOLD if stage is Stage.SHOWN else Action.WAIT
    if stage is Stage.HELD:
        return Action.SETTLE
    if stage is Stage.SHOWN:
        settled = facts.age_s >= SETTLE_S and not facts.pods_without_device
        return Action.WITHDRAW if settled else Action.WAIT
    return Action.WAIT if facts.offered else Action.LOOK
