"""Gathers what the report is made of: from the node's state, the kubelet's half and the ledger, into `report.Facts`.

Before every GPU was read and usage was judged once there is no report of ours: the last one stays, and only its health changes,
since what is not known yet must look neither empty nor free.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from mig.migspec import MigMode, MigSpec, Status
from mig.names import AGENT_LEAVING
from mig.occupancy import Placed
from nodeagent.gpus.adoption import misunderstandings, unadoptable
from nodeagent.gpus.departures import BLOCKED_AFTER_TRIES
from nodeagent.gpus.plan import View, blocked_for_good
from nodeagent.kubelet.kubeletside import KubeletSide
from nodeagent.state import Farewell, GpuRecord, NodeState
from nodeagent.telling.publisher import Report
from nodeagent.telling.report import Facts, GpuFacts, status_of, unhealthy
from nodeagent.trouble import Trouble
from nodeagent.values import Gpu

_FAREWELLS: Final = {
    Farewell.ANNOUNCED: "the agent was told to end: no Pod is let go to this node, and those that were still get their slices",
    Farewell.WITHDRAWING: "the agent is ending: slices that nobody uses are offered no more until a new one runs here",
    Farewell.DONE: "the agent has ended in order: what runs keeps its slices, the others are offered when a new one runs here; "
    "if none comes, see kubectl get pods -o wide of the DaemonSet nos-mig-nodeagent",
}


UNDO: Final = (
    "undo what was edited by hand, or delete the MigSpec: it is made anew from what is there, and running Pods go on"
)


def report_of(state: NodeState, *, kubelet: KubeletSide, ledger_trouble: str, now: datetime) -> Report | None:
    """The report as of now; None without a MigSpec, or while there is nothing that could be said."""
    migspec = state.migspec
    if migspec is None:
        return None
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not (state.hardware_known and state.looked):
        trouble = _leaving(state) or state.driver_trouble or kubelet_away(kubelet)
        if trouble is None:
            return None
        status = unhealthy(migspec.status or Status(0, state.boot_id), trouble, now=time)
    else:
        facts = _facts(state, migspec, kubelet=kubelet, ledger_trouble=ledger_trouble)
        status = status_of(facts, before=state.conditions, now=time)
    state.conditions = status.conditions
    return Report(migspec.name, migspec.uid, status)


def _leaving(state: NodeState) -> Trouble | None:
    """That we are told to end: whoever lets Pods go must know it first."""
    return None if state.farewell is None else Trouble(AGENT_LEAVING, _FAREWELLS[state.farewell])


def _unoffered(state: NodeState, kubelet: KubeletSide) -> str:
    return kubelet.unoffered if state.farewell is None else "exists; it is offered again when a new agent runs here"


def kubelet_away(kubelet: KubeletSide) -> Trouble | None:
    """That it does not answer; None also while it has not been asked yet."""
    status = kubelet.status
    return (
        None if status.reachable or not status.troubles else Trouble("KubeletUnavailable", "; ".join(status.troubles))
    )


def _facts(state: NodeState, migspec: MigSpec, *, kubelet: KubeletSide, ledger_trouble: str) -> Facts:
    ready = kubelet.ready_now()
    return Facts(
        spec=migspec.spec,
        generation=migspec.generation,
        boot_id=state.boot_id,
        driver_version=state.driver.version if state.driver else "",
        gpus=tuple(
            replace(_gpu(state, record, record.gpu, ready), unoffered=_unoffered(state, kubelet))
            for record in state.gpus.values()
            if record.gpu is not None
        ),
        troubles=tuple(_troubles(state, kubelet)),
        warning="; ".join(_warnings(state, ledger_trouble=ledger_trouble)),
    )


def _warnings(state: NodeState, *, ledger_trouble: str) -> Iterator[str]:
    """What an admin should know although everything works."""
    if ledger_trouble:
        yield f"the state folder cannot be used: {ledger_trouble}"
    if state.handed_over:
        gpus = [(record.gpu, record.instances) for record in state.gpus.values() if record.gpu is not None]
        yield from misunderstandings(state.adoption, gpus)
    for record in state.gpus.values():
        for placed, item in record.vanished.items():
            if item.use is not None:
                yield f"GPU {record.index}: {placed.profile} at {placed.window.start}: {item.text}"
    yield from (record.switch.message for record in state.gpus.values() if record.switch is not None)


def _gpu(state: NodeState, record: GpuRecord, gpu: Gpu, ready: frozenset[str]) -> GpuFacts:
    known = state.looked and record.processes_known
    failed = {placed: failure.message for placed, failure in record.failed.items()}
    return GpuFacts(
        gpu=gpu,
        instances=record.instances,
        owned=record.owned,
        ready=frozenset(
            item.gi for item in record.ours() if known and item.uuid in ready and item.uuid not in record.leaving
        ),
        uses={item.gi: use for item in record.ours() if (use := state.use(item.uuid)) is not None},
        blocked={gi: failure.message for gi, failure in record.blocked.items() if failure.tries >= BLOCKED_AFTER_TRIES},
        failed={**_hopeless(state, record, gpu), **failed},
        waiting=record.waiting,
        kept=record.kept,
        vanished={placed: item.text for placed, item in record.vanished.items()},
        remark=record.switch.message if record.switch else "",
        remarks=unadoptable(state.adoption, record.instances, record.owned) if state.handed_over else {},
        uninvited=frozenset(pod.uid for pod in state.pods.values() if pod.needs and pod.uninvited),
        trouble=state.driver_trouble or record.trouble or invalid(record, gpu),
    )


def _hopeless(state: NodeState, record: GpuRecord, gpu: Gpu) -> dict[Placed, str]:
    """Wanted slices that no waiting of ours brings about: MIG is off, or what is not ours is in the way."""
    wanted = state.wanted(gpu.uuid) or ()
    if gpu.mig_mode is not MigMode.ENABLED:
        text = f"MIG mode is {gpu.mig_mode.value}; turn it on with nvidia-smi -i {gpu.index} -mig 1"
        return dict.fromkeys(wanted, text)
    view = View(gpu.shape, wanted, record.instances, record.owned)
    return {placed: why for placed, why in record.waiting.items() if blocked_for_good(placed, view)}


def invalid(record: GpuRecord, gpu: Gpu) -> Trouble | None:
    """That the spec asks of a GPU what cannot be, so that it is left as it is."""
    if not record.fault:
        return None
    text = (
        f"GPU {gpu.index} ({gpu.uuid}): the spec cannot exist there: {record.fault}; nothing is changed on it; {UNDO}"
    )
    return Trouble("InvalidSpec", text)


def absence_known(state: NodeState) -> bool:
    """Whether every GPU that is here was read, so that one that the spec names and that is not among them is not here."""
    return (
        state.migspec is not None
        and state.hardware_known
        and all(record.gpu is not None for record in state.gpus.values())
    )


def absent(state: NodeState) -> Iterator[tuple[str, Trouble]]:
    """The GPUs by UUID that the spec wants slices on and that are not here; nothing while one is here that could not be read."""
    if state.migspec is None or not absence_known(state):
        return
    here = {record.gpu.uuid for record in state.gpus.values() if record.gpu is not None}
    for gpu in state.migspec.spec.gpus:
        if gpu.uuid not in here and gpu.slices:
            text = (
                f"the spec names GPU {gpu.uuid}, which this node does not have (any more): that part is ignored; {UNDO}"
            )
            yield gpu.uuid, Trouble("GpuUnavailable", text)


def _troubles(state: NodeState, kubelet: KubeletSide) -> Iterator[Trouble]:
    """What concerns the whole node, the most serious first."""
    if leaving := _leaving(state):
        yield leaving
    if state.driver_trouble:
        yield state.driver_trouble
    if away := kubelet_away(kubelet):
        yield away
    if state.spec_trouble:
        yield state.spec_trouble
    yield from (record.denied for record in state.gpus.values() if record.denied)
    for record in state.gpus.values():
        if record.gpu is None and record.trouble:
            yield record.trouble
    yield from (trouble for _, trouble in absent(state))
    if kubelet.status.reachable and kubelet.status.troubles:
        yield Trouble("KubeletTrouble", "; ".join(kubelet.status.troubles))
