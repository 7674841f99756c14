"""Who uses which slice: PodResources, Pods bound here, devices handed out and the driver's process list, joined. Pure.

A slice is in use from its `Allocate` until its Pod is gone or finished *and* PodResources *and* the process list are silent.
None of these is enough alone: `Allocate` does not say for whom; PodResources knows no uid, leaves plain init containers out
and is silent about a force-deleted Pod whose containers still die; a process list knows no Pod. What is unknown keeps
what was known: nothing turns free for lack of an answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from mig.migspec import Claim, Holder
from mig.profiles import Profile
from nodeagent.kubelet.podresources import Assignment
from nodeagent.pods import PodView

LATE_S: Final = 3.0
"""The watch has shown a Pod by then, so a handed-out device may belong to one that is finished already."""

HANDOUT_S: Final = 30.0
"""A device that was handed out and that no Pod can be found for counts as used for so long: the kubelet's own view of a Pod may
be ahead of our watch by its time-outs (15 s to open a watch, 10 s back-off)."""


class Source(Enum):
    """What told us of a use."""

    ASSIGNED = auto()
    """PodResources lists it."""
    HANDED_OUT = auto()
    """An Allocate, or a Pod that must have had one before we started."""
    PROCESS = auto()
    """Only the driver's process list."""


@dataclass(frozen=True, slots=True)
class Offered:
    """One slice of ours that exists."""

    device_id: str
    profile: Profile
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """That a slice is used. `at` is when it was last confirmed, by the agent's clock; `holder` is None while unknown."""

    source: Source
    at: float
    holder: Holder | None = None
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What was known before: uses by device id, and which devices each Pod (uid) was ever seen with."""

    uses: Mapping[str, Use] = field(default_factory=dict)
    seen_with: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen now. None means that nobody answered. `asked_at` is when PodResources was asked.

    `inherited` are the Pods that were here before this agent: their Allocate may have been another agent's.
    """

    now: float
    asked_at: float
    pods: tuple[PodView, ...]
    assignments: tuple[Assignment, ...] | None
    handed_out: Mapping[str, float]
    pids: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`ended` were used and are silent now; `released` were handed out and nobody has them.

    `unserved` are profiles for which a bound Pod has no device yet. `unsettled`: look again soon, since something is about
    to end or not understood yet.
    """

    memory: Memory
    ended: frozenset[str]
    released: frozenset[str]
    unserved: frozenset[Profile]
    unsettled: bool


def judge(slices: Iterable[Offered], sight: Sight, before: Memory) -> Judgement:
    """Who uses what now."""
    return _Judge({item.device_id: item for item in slices}, sight, before).judgement()


class _Judge:
    """One judgement under way: what is certain first, then what must be matched."""

    def __init__(self, slices: Mapping[str, Offered], sight: Sight, before: Memory) -> None:
        self._slices = slices
        self._sight = sight
        self._before = {each: use for each, use in before.uses.items() if each in slices}
        self._by_key = {pod.key: pod for pod in sight.pods}
        self._by_uid = {pod.uid: pod for pod in sight.pods}
        self._seen_with = {
            uid: {each for each in ids if each in slices}
            for uid, ids in before.seen_with.items()
            if uid in self._by_uid
        }
        self._uses: dict[str, Use] = {}
        self._elsewhere: Counter[tuple[tuple[str, str], str]] = Counter()

    def judgement(self) -> Judgement:
        if self._sight.assignments is None:
            self._uses.update(self._before)
        else:
            self._assigned(self._sight.assignments)
            self._lasting()
        self._handed_out()
        self._inherited()
        self._computing()
        handed_out = self._sight.handed_out.keys() & self._slices.keys()
        return Judgement(
            memory=Memory(dict(self._uses), {uid: frozenset(ids) for uid, ids in self._seen_with.items()}),
            ended=frozenset(self._before.keys() - self._uses.keys()),
            released=frozenset() if self._sight.assignments is None else frozenset(handed_out - self._uses.keys()),
            unserved=frozenset(
                profile for pod in self._alive() for profile, _ in pod.needs if self._lacks(pod, profile) > 0
            ),
            unsettled=any(self._unsettled(use) for use in self._uses.values()),
        )

    def _assigned(self, assignments: Iterable[Assignment]) -> None:
        for item in assignments:
            if item.device_id not in self._slices:
                self._elsewhere[(item.namespace, item.pod), item.resource] += 1  # another plugin's, or a lost one
                continue
            uid = self._uid_behind(item)
            holder = Holder(item.namespace, item.pod, uid, item.container)
            self._uses[item.device_id] = Use(Source.ASSIGNED, self._sight.asked_at, holder)
            for ids in self._seen_with.values():
                ids.discard(item.device_id)  # an earlier guess about it may have been wrong
            if uid in self._by_uid:
                self._seen_with.setdefault(uid, set()).add(item.device_id)

    def _uid_behind(self, item: Assignment) -> str:
        """The Pod's uid, which PodResources leaves out. A namesake made anew does not have what was handed out before it."""
        before = self._before.get(item.device_id)
        known = before.holder if before and not self._anew(item.device_id, before) else None
        if known and known.uid and (known.namespace, known.name) == (item.namespace, item.pod):
            return known.uid
        pod = self._by_key.get((item.namespace, item.pod))
        return pod.uid if pod else ""

    def _lasting(self) -> None:
        """A Pod that had a slice and still lives has it, even where PodResources is silent."""
        for device_id, use in self._before.items():
            if (
                device_id not in self._uses
                and use.holder
                and not self._anew(device_id, use)
                and self._lives(use.holder)
            ):
                self._uses[device_id] = use

    def _handed_out(self) -> None:
        """Match each handed-out device that nobody is known to have with a Pod that lacks one."""
        waiting = sorted(
            (at, device_id)
            for device_id, at in self._sight.handed_out.items()
            if device_id in self._slices
            and (device_id not in self._uses or self._anew(device_id, self._uses[device_id]))
        )
        for at, device_id in waiting:
            before = self._before.get(device_id)
            if before and before.holder and not self._anew(device_id, before):
                continue  # its Pod was known, and has ended
            pod = self._taker(device_id, age_s=self._sight.now - at)
            if pod:
                self._seen_with.setdefault(pod.uid, set()).add(device_id)
                if not pod.finished:
                    self._uses[device_id] = Use(Source.HANDED_OUT, at, Holder(pod.namespace, pod.name, pod.uid))
            elif self._sight.now - at < HANDOUT_S or self._sight.assignments is None:
                self._uses[device_id] = Use(Source.HANDED_OUT, at)

    def _taker(self, device_id: str, *, age_s: float) -> PodView | None:
        """The likeliest Pod behind an Allocate: who had it (it goes on within a Pod), whose claim it is, who lacks one."""
        item = self._slices[device_id]
        alive = self._alive()
        had = [pod for pod in alive if device_id in self._seen_with.get(pod.uid, ())]
        lacking = [pod for pod in alive if self._lacks(pod, item.profile) > 0]
        if age_s >= LATE_S:
            lacking += [pod for pod in self._sight.pods if pod.finished and self._lacks(pod, item.profile) > 0]
        claimed = [pod for pod in lacking if item.claim and pod.uid == item.claim.uid]
        return next(iter(had or claimed or lacking), None)

    def _inherited(self) -> None:
        """A Pod from before our time that lacks a device has it in a plain init container: its claim says which."""
        for device_id, item in self._slices.items():
            pod = self._by_uid.get(item.claim.uid) if item.claim else None
            if device_id in self._uses or pod is None or pod.uid not in self._sight.inherited or pod.finished:
                continue
            if self._lacks(pod, item.profile) > 0:
                self._seen_with.setdefault(pod.uid, set()).add(device_id)
                self._uses[device_id] = Use(
                    Source.HANDED_OUT, self._sight.now, Holder(pod.namespace, pod.name, pod.uid)
                )

    def _computing(self) -> None:
        """Processes keep a slice in use without any Pod; where the driver does not answer, what was used stays used."""
        for device_id, pids in self._sight.pids.items():
            before = self._before.get(device_id)
            if device_id not in self._slices or device_id in self._uses:
                continue
            if pids is None and before:
                self._uses[device_id] = before
            elif pids:
                self._uses[device_id] = Use(Source.PROCESS, self._sight.now, before.holder if before else None, pids)

    def _anew(self, device_id: str, use: Use) -> bool:
        """Whether the device was handed out again after this use was last confirmed: then its old holder says nothing."""
        return self._sight.handed_out.get(device_id, use.at) > use.at

    def _lives(self, holder: Holder) -> bool:
        pod = self._by_uid.get(holder.uid) if holder.uid else self._by_key.get((holder.namespace, holder.name))
        return pod is not None and not pod.finished

    def _alive(self) -> list[PodView]:
        return [pod for pod in self._sight.pods if not pod.finished]

    def _lacks(self, pod: PodView, profile: Profile) -> int:
        have = sum(self._slices[each].profile == profile for each in self._seen_with.get(pod.uid, ()))
        return pod.need(profile) - have - self._elsewhere[pod.key, profile.resource]

    def _unsettled(self, use: Use) -> bool:
        if use.holder is None or use.source is Source.PROCESS:
            return True
        pod = self._by_uid.get(use.holder.uid)
        return pod is None or pod.finished or pod.terminating
