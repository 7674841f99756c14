"""Slices of ours that went behind our back: destroyed by somebody, or with a reset of their GPU or of the driver. Pure.

They are missed at the next reading, made anew where the spec wants them, and told: for a while, and for as long as the Pod lives
that used one. What we took away ourselves is not missed, nor what a reboot took, since entries of another boot are void.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mig.occupancy import Placed
from nodeagent.gpus.ownership import Entry
from nodeagent.pods import PodView
from nodeagent.use.usage import Use
from nodeagent.values import Instance

TOLD_S: Final = 600.0
"""How long it is told of a slice that nobody used: long enough to be seen by whoever looks after an alarm."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """One slice that is gone: its UUID, when it was missed (the agent's clock, seconds), and who used it then."""

    uuid: str
    at: float
    use: Use | None = None

    @property
    def text(self) -> str:
        """What is to be said of it, as a part of a sentence."""
        gone = f"{self.uuid}, which was here, is gone; somebody destroyed it, or reset the GPU or the driver"
        if self.use is None:
            return gone
        if self.use.holder is None:
            return f"{gone}; processes used it"
        pod = f"{self.use.holder.namespace}/{self.use.holder.name}"
        return f"{gone}; Pod {pod} used it, and cannot go on with it: delete that Pod"


def missing(
    entries: Iterable[Entry], instances: Collection[Instance], *, gpu: str, by_us: Collection[str]
) -> tuple[Entry, ...]:
    """The entries of a GPU whose MIG device is not among its instances; `by_us` are the UUIDs of those that we take away."""
    here = {(item.placed, item.uuid) for item in instances}
    return tuple(
        entry
        for entry in entries
        if entry.gpu == gpu and entry.uuid and entry.uuid not in by_us and (entry.placed, entry.uuid) not in here
    )


def still_told(
    vanished: Mapping[Placed, Vanished], *, pods: Mapping[str, PodView], now: float
) -> dict[Placed, Vanished]:
    """Those that are not old news yet. `pods` are the Pods of this node by uid."""
    return {
        placed: item for placed, item in vanished.items() if now - item.at < TOLD_S or _outlived_by_user(item, pods)
    }


def _outlived_by_user(item: Vanished, pods: Mapping[str, PodView]) -> bool:
    holder = item.use.holder if item.use else None
    pod = pods.get(holder.uid) if holder else None
    return pod is not None and not pod.finished
