"""When NVIDIA's device plugin is made to enumerate again, as a pure state machine.

It enumerates only when it starts, so the one way is to have it started anew, and while it starts the kubelet offers nothing: a
Pod that is bound then fails for good. Hence the order: gather changes until the hardware is quiet; lower the counts of all
slices to what Pods hold (`CLOSED`); when the Node shows it, a moment has passed for bindings under way, and every bound Pod has
its device, have the plugin started anew (`ASKED`); when the kubelet lists what is there, count everything again (`OPEN`).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from nodeagent.gpus.leaving import SETTLE_S

GATHER_S: Final = 0.2
"""Slices of one spec are made within some tenths of a second of each other, on several GPUs at once."""

PATIENCE_S: Final = 15.0
"""How long a plugin that has just started may take to register; it needs one to three seconds."""

FIRST_PAUSE_S: Final = 10.0
LAST_PAUSE_S: Final = 300.0
"""Between starts that did not help, as long as the kubelet takes at most between two starts of a container that fails."""


class Phase(Enum):
    """How far the present round has come."""

    OPEN = auto()
    CLOSED = auto()
    ASKED = auto()


class Plugin(Enum):
    """How the plugin stands to what is on the hardware now."""

    AWAY = auto()
    """No Pod of it runs here; when one comes, it will enumerate."""
    COMING = auto()
    """It started after the last change, and the kubelet has not heard of it yet."""
    THERE = auto()
    """It has enumerated; it will not do so again by itself."""


class Step(Enum):
    """What to do now."""

    WAIT = auto()
    CLOSE = auto()
    """Count only what Pods hold."""
    ASK = auto()
    """Have the plugin started anew."""
    OPEN = auto()
    """Count again what the kubelet lists."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the next step depends on. Times are in seconds."""

    stale: bool
    """The kubelet lists something else than what is there."""
    plugin: Plugin
    changing: bool = False
    """Slices are being made or taken away at this moment."""
    quiet_s: float = 0.0
    """Since what is there last changed."""
    backing_off: bool = False
    kubelet_answers: bool = True
    age_s: float = 0.0
    """Since the phase began."""
    count_shown: bool = False
    """The Node shows the counts that we mean."""
    pods_without_device: bool = False
    """A Pod is bound here that asks for a slice and has none yet."""


def next_step(phase: Phase, facts: Facts) -> Step:
    """The next step of a round."""
    match phase:
        case Phase.OPEN:
            return Step.CLOSE if _worth_while(facts) and facts.quiet_s >= GATHER_S else Step.WAIT
        case Phase.CLOSED if not _worth_while(facts):
            return Step.OPEN
        case Phase.CLOSED:
            ready = facts.count_shown and facts.age_s >= SETTLE_S and not facts.pods_without_device
            return Step.ASK if ready else Step.WAIT
        case Phase.ASKED:
            return Step.OPEN if not facts.stale or facts.plugin is Plugin.THERE else Step.WAIT


def _worth_while(facts: Facts) -> bool:
    """Whether a start would help now, and nothing is about to make another necessary."""
    asked_for = facts.stale and facts.plugin is Plugin.THERE and facts.kubelet_answers
    return asked_for and not facts.changing and not facts.backing_off


def pause_s(failures: int) -> float:
    """How long to wait after so many starts in a row that did not help."""
    return 0.0 if failures == 0 else min(FIRST_PAUSE_S * 2.0 ** (failures - 1), LAST_PAUSE_S)
