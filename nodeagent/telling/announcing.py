"""Tells the news: looks at what is known after each change, and emits an Event for each thing that happened.

What is news is decided in `news`; here is only where that comes from, and whose Event it is. Unknown is not empty: a trouble that
merely cannot be seen, since the kubelet or the driver does not answer, counts as going on. Events are queued, never waited for.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from kube.events import ObjectRef
from mig.names import API_VERSION, KIND
from nodeagent.gpus.departures import BLOCKED_AFTER_TRIES
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.kubelet.rivals import REMEDY
from nodeagent.state import GpuRecord, NodeState
from nodeagent.telling.news import About, GpuKnown, Known, News, news_between
from nodeagent.telling.reporting import absence_known, absent, invalid, kubelet_away
from nodeagent.trouble import Trouble

ACTION: Final = "KeepNode"
"""What the agent was doing, as every Event says."""


RIVAL: Final = "other device plugin"
KUBELET: Final = "kubelet's side"
"""Subjects of troubles that only a kubelet that answers shows."""


class Emit(Protocol):
    """`kube.events.EventRecorder.emit`."""

    def __call__(self, regarding: ObjectRef, *, warning: bool = False, reason: str, action: str, note: str) -> None:
        """Say something about an object; never waits, never raises."""


class Announcing:
    """The eternal task. `ledger_trouble` says what is wrong with the state folder, empty where nothing is."""

    def __init__(
        self, *, state: NodeState, kubelet: KubeletSide, ledger_trouble: Callable[[], str], emit: Emit
    ) -> None:
        self._state = state
        self._kubelet = kubelet
        self._ledger_trouble = ledger_trouble
        self._emit = emit
        self._told = Known()

    async def run(self) -> None:
        """Eternal."""
        while True:
            seen = self._state.changed.count
            self.tell()
            await self._state.changed.beyond(seen)

    def tell(self) -> None:
        """Emit what has happened since the last time."""
        now = known_of(self._state, kubelet=self._kubelet, ledger_trouble=self._ledger_trouble(), before=self._told)
        for item in news_between(self._told, now):
            self._emit(self._whose(item), warning=item.warning, reason=item.reason, action=ACTION, note=item.note)
        self._told = now

    def _whose(self, item: News) -> ObjectRef:
        state = self._state
        if item.pod is not None:
            return ObjectRef("v1", "Pod", item.pod.name, item.pod.namespace, item.pod.uid)
        if item.about is About.MIGSPEC and state.migspec is not None:
            return ObjectRef(API_VERSION, KIND, state.migspec.name, uid=state.migspec.uid)
        return ObjectRef("v1", "Node", state.node_name, uid=state.node_uid)


def known_of(state: NodeState, *, kubelet: KubeletSide, ledger_trouble: str, before: Known) -> Known:
    """What is known at this moment, as far as it can be news; of what cannot be seen now, what was known before."""
    unseen = {
        subject: trouble for subject, trouble in before.troubles.items() if _unseen(subject, state, kubelet=kubelet)
    }
    return Known(
        troubles=unseen | dict(_troubles(state, kubelet=kubelet, ledger_trouble=ledger_trouble)),
        gpus={record.gpu.uuid: _gpu(record) for record in state.gpus.values() if record.gpu is not None},
        uninvited={
            pod.uid: (use.holder, where)
            for device_id, use in state.memory.uses.items()
            if use.holder and (pod := state.pods.get(use.holder.uid)) and pod.uninvited
            for where in [_where(state, device_id)]
        },
        lost_at_boot=state.lost_at_boot,
        leaving=state.farewell is not None,
    )


def _troubles(state: NodeState, *, kubelet: KubeletSide, ledger_trouble: str) -> Iterator[tuple[str, Trouble]]:
    yield from _of_the_node(state, kubelet)
    if state.spec_trouble:
        yield "spec", state.spec_trouble
    for record in state.gpus.values():
        if record.trouble and not state.driver_trouble:
            yield f"GPU {record.index}", record.trouble
        if record.denied:
            yield f"instances of GPU {record.index}", record.denied
        if record.gpu is not None and (wrong := invalid(record, record.gpu)):
            yield f"spec of GPU {record.index}", wrong
    for uuid, missing in absent(state):
        yield f"spec of {uuid}", Trouble("UnknownGpu", missing.message)
    if ledger_trouble:
        text = f"the state folder cannot be used ({ledger_trouble}): what is ours is written down in the MigSpec alone"
        yield "state folder", Trouble("StateFolderUnusable", text)


def _unseen(subject: str, state: NodeState, *, kubelet: KubeletSide) -> bool:
    """Whether nobody can tell now how it stands with a subject, so that no trouble to be seen is not the end of one."""
    part, of_a_gpu, index = subject.rpartition("GPU ")
    if of_a_gpu:
        record = state.gpus.get(int(index))
        if state.driver_trouble is not None or record is None or record.gpu is None:
            return True
        return bool(part) and record.trouble is not None
    if subject.startswith("spec of "):
        return state.driver_trouble is not None or not absence_known(state)
    return subject in (RIVAL, KUBELET) and not kubelet.status.reachable


def _of_the_node(state: NodeState, kubelet: KubeletSide) -> Iterator[tuple[str, Trouble]]:
    if state.driver_trouble:
        yield "driver", state.driver_trouble
    if away := kubelet_away(kubelet):
        yield "kubelet", away
        return
    texts = kubelet.status.troubles
    rivals = [text for text in texts if REMEDY in text]
    if rivals:
        yield RIVAL, Trouble("OtherDevicePlugin", "; ".join(rivals))
    if others := [text for text in texts if text not in rivals]:
        yield KUBELET, Trouble("KubeletTrouble", "; ".join(others))


def _gpu(record: GpuRecord) -> GpuKnown:
    placed = {item.gi: item.placed for item in record.ours()}
    return GpuKnown(
        record.index,
        foreign=frozenset(item.placed for item in record.instances if item.gi not in record.owned),
        blocked={
            placed[gi]: failure.message
            for gi, failure in record.blocked.items()
            if gi in placed and failure.tries >= BLOCKED_AFTER_TRIES
        },
        vanished=dict(record.vanished),
    )


def _where(state: NodeState, device_id: str) -> str:
    for record in state.gpus.values():
        for item in record.ours():
            if item.uuid == device_id:
                return f"the slice {item.placed.profile} at {item.placed.window.start} of GPU {record.index}"
    return f"the slice {device_id}"
