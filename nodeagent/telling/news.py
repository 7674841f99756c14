"""What is worth an Event: the difference between what was known and what is known now, each thing told once. Pure.

Conditions say how it stands; Events say what happened, to whoever looks at the Node, the MigSpec or the Pod. A trouble is news when
it comes, when its reason changes, and when it is over, not while its words change; a wrong spec also whenever its fault changes.
Foreign slices that were there when the agent started are no news. Nothing depends on an Event having arrived.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from mig.migspec import Holder
from mig.occupancy import Placed
from nodeagent.gpus.vanished import Vanished
from nodeagent.trouble import Trouble

SHOWN: Final = 8
"""How many slices one Event names."""


class About(Enum):
    """Whose Event it is."""

    NODE = auto()
    MIGSPEC = auto()
    POD = auto()


@dataclass(frozen=True, slots=True)
class News:
    """One Event. `pod` is whose it is where it is a Pod's."""

    about: About
    reason: str
    note: str
    warning: bool = True
    pod: Holder | None = None


@dataclass(frozen=True, slots=True)
class GpuKnown:
    """What is to be known of one GPU.

    Instances that are not ours, ours that the driver does not let go of and why, and ours that went behind our back.
    """

    index: int
    foreign: frozenset[Placed] = frozenset()
    blocked: Mapping[Placed, str] = field(default_factory=dict)
    vanished: Mapping[Placed, Vanished] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """All that news are made of, at one moment.

    `troubles` are by their subject: one of the spec begins with `spec`. `gpus` holds those that were read, by UUID. `uninvited` are
    the Pods, by uid, that have a slice though the webhook never saw them. `lost_at_boot` is how many slices of ours the last report
    before a reboot named; None where there was no reboot.
    """

    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    gpus: Mapping[str, GpuKnown] = field(default_factory=dict)
    uninvited: Mapping[str, tuple[Holder, str]] = field(default_factory=dict)
    lost_at_boot: int | None = None
    leaving: bool = False


_OVER: Final = {
    "DriverUnavailable": ("DriverAvailable", "the driver answers again"),
    "DriverSilent": ("DriverAnswers", "the driver answers again for"),
    "GpuUnavailable": ("GpuAvailable", "can be used again:"),
    "KubeletUnavailable": ("KubeletAvailable", "the kubelet answers again"),
    "InvalidSpec": ("SpecAccepted", "the spec can be carried out again:"),
    "UnknownGpu": ("SpecAccepted", "the spec names only GPUs that are here again:"),
    "OtherDevicePlugin": ("DevicePluginAlone", "no other device plugin offers MIG slices here any more"),
    "KubeletTrouble": ("KubeletInOrder", "nothing is wrong between us and the kubelet any more"),
    "NoPermission": ("Permitted", "the driver lets us change instances again on"),
    "StateFolderUnusable": ("StateFolderUsable", "the state folder can be used again"),
}
"""Reason of a trouble → reason and words of its end; the subject follows words that end with a preposition or a colon."""


def news_between(before: Known, now: Known) -> list[News]:
    """What happened, in the order in which it is best read."""
    return [
        *_reboot(before, now),
        *_troubles(before, now),
        *(
            item
            for uuid, gpu in now.gpus.items()
            for item in _on_gpu(before.gpus.get(uuid) or GpuKnown(gpu.index, foreign=gpu.foreign), gpu)
        ),
        *_uninvited(before, now),
        *_leaving(before, now),
    ]


def _reboot(before: Known, now: Known) -> Iterator[News]:
    if now.lost_at_boot is not None and before.lost_at_boot is None:
        note = (
            f"the node was rebooted, and {_slices(now.lost_at_boot)} went with it: those that the spec wants are made anew, and "
            "those claimed by Pods that the kubelet failed are released; controllers make such Pods anew"
        )
        yield News(About.NODE, "NodeRebooted", note)


def _troubles(before: Known, now: Known) -> Iterator[News]:
    for subject, trouble in now.troubles.items():
        old = before.troubles.get(subject)
        of_spec = subject.startswith("spec")
        if old is None or old.reason != trouble.reason or (of_spec and old.message != trouble.message):
            yield News(About.MIGSPEC if of_spec else About.NODE, trouble.reason, trouble.message)
    for subject, trouble in before.troubles.items():
        if subject not in now.troubles and trouble.reason in _OVER:
            reason, words = _OVER[trouble.reason]
            note = f"{words} {subject}" if words.endswith((":", "for", "on")) else words
            yield News(About.MIGSPEC if subject.startswith("spec") else About.NODE, reason, note, warning=False)


def _on_gpu(before: GpuKnown, now: GpuKnown) -> Iterator[News]:
    where = f"GPU {now.index}"
    lost = {placed: item for placed, item in now.vanished.items() if before.vanished.get(placed) != item}
    if lost:
        holders = [item.use.holder for item in lost.values() if item.use and item.use.holder]
        users = ", ".join(sorted(f"Pod {each.namespace}/{each.name}" for each in holders))
        note = (
            f"{_listed(sorted(lost))} of {where}: gone, and not by us; somebody destroyed it, or reset the GPU or the driver; what "
            "the spec wants is made anew"
            + (f"; used by {users}, which cannot go on: delete such Pods" if users else "")
        )
        yield News(About.MIGSPEC, "SliceVanished", note)
    if came := now.foreign - before.foreign:
        note = (
            f"{_listed(sorted(came))} of {where} was not made by us: it is left alone, and nothing is placed in its room; destroy "
            "it by hand, or let it be adopted"
        )
        yield News(About.MIGSPEC, "ForeignSlice", note)
    for placed, why in now.blocked.items():
        if placed not in before.blocked:
            yield News(About.MIGSPEC, "ReleaseBlocked", f"{_listed([placed])} of {where} cannot be taken away: {why}")


def _uninvited(before: Known, now: Known) -> Iterator[News]:
    for uid, (pod, where) in now.uninvited.items():
        if uid not in before.uninvited:
            note = (
                f"it has taken {where}, though it came round the admission webhook (as static Pods do) and nothing was reserved "
                "for it: it keeps the slice, and the Pod whose slice it was gets another; ask for MIG slices in ordinary Pods only"
            )
            yield News(About.POD, "MigSliceWithoutClaim", note, pod=pod)
            note = f"Pod {pod.namespace}/{pod.name} came round the admission webhook and has taken {where}"
            yield News(About.MIGSPEC, "MigSliceWithoutClaim", note)


def _leaving(before: Known, now: Known) -> Iterator[News]:
    if now.leaving and not before.leaving:
        note = (
            "the agent was told to end: no Pod is let go to this node before another agent reports; running Pods go on"
        )
        yield News(About.NODE, "AgentLeaving", note, warning=False)


def _slices(number: int) -> str:
    return f"{number} slice{'' if number == 1 else 's'}"


def _listed(places: list[Placed]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(f"{item.profile} at {item.window.start}" for item in places[:SHOWN]) + more
