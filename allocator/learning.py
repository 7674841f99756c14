"""Learns from Pods, each once in its life, which profiles are asked for and how long they last, and hands it from leader to leader.

The mix stands in an annotation of the Lease and is written with its renewals: it costs no request, and only a leader can write
it. Each slice that a Pod needs is one arrival; the lifetime that it declares, if it does, counts once for the scale of lifetimes. A
new leader's first look shows Pods of which its predecessor counted some: those not newer than the last one that the annotation
knows of. Whatever appears after that look was made after the annotation was written, and is new. So no Pod is counted twice, by
whichever leaders; one that was counted but not yet written down when a term ended is newer than the annotation, and the successor
counts it.

Losing the mix, or a few arrivals (of Pods that came and went around a change of leaders, or whose creation time a slow admission or
another API server's clock put before that of an earlier one), costs a little of how well slices are packed, and nothing else. A
leader that finds no mix starts with the Pods that are there.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log as ln
from typing import Final, TypeGuard

from allocator.placement.durations import Scale
from allocator.placement.mix import Learner, Mix, MixError, mix_from_json, mix_to_json
from allocator.pods import MigPod
from mig.lifetime import LONGEST_S, SHORTEST_S

log = logging.getLogger(__name__)

FORMAT: Final = 1
"""Of the annotation. A leader of another version that writes another one starts afresh."""

MOST_UIDS: Final = 128
"""Pods of the last second that the annotation names. If there are more, all of that second are taken as counted."""

MOST_BYTES: Final = 16 * 1024
"""What is read as an annotation. Ours is at most 10 KiB: 64 profiles of at most 75 characters, 128 uids of 39."""

MOST_LIFETIMES: Final = 722.0
"""The weight of endless lifetimes, 721.8, each later one fading those before it by half in 500."""

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest Pods that were counted: their creation time (RFC 3339 in UTC, whole seconds), and which of that second."""

    until: str = ""
    uids: frozenset[str] | None = frozenset()
    """None: all of that second."""

    def counted(self, pod: MigPod) -> bool:
        """Whether a Pod that was there before the mark was written down is among the counted."""
        if pod.created != self.until:
            return pod.created < self.until
        return self.uids is None or pod.uid in self.uids

    def with_pod(self, pod: MigPod) -> "Watermark":
        """The mark once this Pod is counted, too."""
        if self.counted(pod):
            return self
        beside = self.uids if pod.created == self.until else None
        uids = (beside or frozenset()) | {pod.uid}
        return Watermark(pod.created, uids if len(uids) <= MOST_UIDS else None)


@dataclass(frozen=True, slots=True)
class Learned:
    """What one leader leaves to the next."""

    mix: Mix
    mark: Watermark
    scale: Scale


class Learning:
    """One term's learning. It begins with the annotation's text as it was inherited; empty where there was none."""

    def __init__(self, inherited: str = "") -> None:
        before = _inherit(inherited)
        self._learner = Learner(before.mix)
        self._mix = before.mix
        self._inherited = before.mark
        self._mark = before.mark
        self._scale = before.scale
        self._known: set[str] = set()
        self._looked = False
        self._text = ""

    @property
    def mix(self) -> Mix:
        """The mix as learned so far; the same object until something more is learned."""
        return self._mix

    @property
    def scale(self) -> Scale:
        """The mean declared lifetime as learned so far; the same object until another is declared."""
        return self._scale

    @property
    def annotation(self) -> str:
        """What a successor is to inherit; empty before the first look: what stands there then stays."""
        return self._text

    @property
    def remembered(self) -> int:
        """How many Pods it knows by uid; at most twice as many as there are, and those of the last look."""
        return len(self._known)

    def look(self, pods: Mapping[str, MigPod]) -> None:
        """Take in the Pods that there are, by uid: all of them, each time."""
        fresh = [pod for uid, pod in pods.items() if uid not in self._known and pod.needs]
        first, self._looked = not self._looked, True
        if not fresh and not first:
            return
        self._forget(pods)
        self._known.update(pod.uid for pod in fresh)
        arrived = [pod for pod in fresh if not (first and self._inherited.counted(pod))]
        for pod in sorted(arrived, key=lambda pod: (pod.created, pod.uid)):
            for need in pod.needs:
                self._learner.learn(need.profile)
            if pod.wish.lasts is not None:
                self._scale = self._scale.after(pod.wish.lasts)
            self._mark = self._mark.with_pod(pod)
        self._mix = self._learner.mix()
        self._text = learned_to_text(Learned(self._mix, self._mark, self._scale))

    def _forget(self, pods: Mapping[str, MigPod]) -> None:
        """Drop what is gone, when it is more than what is there: a uid never comes again."""
        if len(self._known) > 2 * len(pods):
            self._known.intersection_update(pods)


def _inherit(text: str) -> Learned:
    if not text:
        return Learned(Mix(), Watermark(), Scale())
    try:
        learned = learned_from_text(text)
    except MixError as error:
        log.warning("the demand mix that the last leader left cannot be read, learning starts afresh: %.300s", error)
        return Learned(Mix(), Watermark(), Scale())
    log.info(
        "the demand mix goes on from %.0f arrivals, up to %s", learned.mix.arrivals, learned.mark.until or "no Pod"
    )
    return learned


def learned_to_text(learned: Learned) -> str:
    """The annotation's value: compact JSON, the same for the same."""
    mark = learned.mark
    value: dict[str, object] = {
        "version": FORMAT,
        "until": mark.until,
        "uids": None if mark.uids is None else sorted(mark.uids),
        "arrivals": mix_to_json(learned.mix),
    }
    if learned.scale.weight:
        # Leaders of versions that know no lifetimes read past it, and those that do take its absence for none.
        value["lifetimes"] = {"meanLog": round(learned.scale.mean_log, 6), "weight": round(learned.scale.weight, 3)}
    return json.dumps(value, separators=(",", ":"))


def learned_from_text(text: str) -> Learned:
    """Read what `learned_to_text` gave. Raises `MixError`, with what is wrong, for anything else."""
    if len(text) > MOST_BYTES:
        raise MixError(f"{len(text)} characters are more than the {MOST_BYTES} that a mix can have")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MixError(f"not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("version") != FORMAT:
        raise MixError(f"not a mix of version {FORMAT}: {text:.80}")
    mark = _mark(value.get("until"), value.get("uids"))
    return Learned(mix_from_json(value.get("arrivals")), mark, _scale(value.get("lifetimes")))


def _scale(value: object) -> Scale:
    if value is None:
        return Scale()
    if not isinstance(value, dict):
        raise MixError(f"`lifetimes` is no JSON object: {value!r:.80}")
    mean_log, weight = value.get("meanLog"), value.get("weight")
    if not _is_within(mean_log, ln(SHORTEST_S), ln(LONGEST_S)):
        raise MixError(f"`lifetimes.meanLog` is no logarithm of a duration in seconds: {mean_log!r:.80}")
    if not _is_within(weight, 0, MOST_LIFETIMES):
        raise MixError(f"`lifetimes.weight` is not from 0 to {MOST_LIFETIMES:.0f}: {weight!r:.80}")
    return Scale(float(mean_log), float(weight))


def _is_within(value: object, least: float, most: float) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _mark(until: object, uids: object) -> Watermark:
    if not isinstance(until, str) or not _TIME.fullmatch(until):
        raise MixError(f"`until` is no time: {until!r:.80}")
    if uids is None:
        return Watermark(until, None)
    if not isinstance(uids, list) or not all(isinstance(uid, str) for uid in uids):
        raise MixError(f"`uids` is no list of uids: {uids!r:.80}")
    return Watermark(until, frozenset(uids))
