"""Reservations that have come true: their Pods are nominated and let go.

Ready is a Pod all of whose slices an up-to-date report shows free, on a node that still takes it and shows a device for it
beside everybody else who may be bound there. The stored spec counts, never the round's own wishes: what this round changes is
not ready. A nomination that was cleared, or that names the wrong node, is made again.
"""

from typing import Final

from allocator.decisions import PodWrite
from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.placement.fleet import Reason
from allocator.pods import MigPod
from allocator.view import Spot
from mig.demand import Allotment, allocation_to_annotation
from mig.migspec import SliceState

MOST_AT_ONCE: Final = 64
"""Pods let go in one round, so that the round stays short (some 0.2 s of writes) and new Pods get their slices meanwhile."""

RENOMINATE_S: Final = 3.0
"""The scheduler may clear a nomination for good reason; we do not argue more often than that."""


def let_go(desk: Desk, fleet: Fleet) -> None:
    """Nominate and ungate all who are ready, and keep nominations and annotations of those past the gate true."""
    for pod in sorted(desk.view.pods.values(), key=lambda pod: pod.order):
        if pod.uid in desk.left or pod.uid in desk.placed or pod.deleting or pod.other_gates:
            continue
        if not pod.needs:
            _open_needless_gate(desk, pod)
            continue
        spots = desk.spots(pod.uid)
        if not spots or desk.unmet(pod):
            desk.notes.released.pop(pod.uid, None)
        elif pod.node:
            _correct_annotation(desk, pod, spots)
        else:
            _look_at(desk, fleet, pod, spots)


def _open_needless_gate(desk: Desk, pod: MigPod) -> None:
    """Our gate on a Pod that asks for nothing holds it up for nothing; one that asks for gibberish is told so."""
    if pod.trouble:
        desk.says(pod, Reason.NO_SUCH_PROFILE, pod.trouble)
    elif pod.gated:
        desk.pod_writes.append(PodWrite(pod, ungate=True))


def _look_at(desk: Desk, fleet: Fleet, pod: MigPod, spots: list[Spot]) -> None:
    node = spots[0].node
    if pod.gated and fleet.is_leaving(node) and pod.uid not in desk.outcomes:
        desk.notes.released.pop(pod.uid, None)
        desk.says(pod, Reason.CREATING, f"its slices are reserved on {node}; waits for the node's new agent")
        return
    missing = [text for spot in spots if (text := _missing(desk, spot)) is not None]
    if missing:
        desk.notes.released.pop(pod.uid, None)
        desk.says(pod, Reason.CREATING, "; ".join(missing))
    elif pod.gated and pod.uid in desk.outcomes:
        # Its node no longer takes it, and moving has said so.
        desk.notes.released.pop(pod.uid, None)
    elif not fleet.has_room(pod, node):
        desk.says(
            pod,
            Reason.CREATING,
            f"its slices exist on {node}; waits until the Node shows a device for it beside the Pods on their way there",
        )
    elif pod.gated:
        _release(desk, fleet, pod, spots)
    else:
        _keep_nominated(desk, pod, spots)


def _missing(desk: Desk, spot: Spot) -> str | None:
    """What is still to be done about one slice, or None where it is ready."""
    tracked = desk.view.specs[spot.node]
    where = f"{spot.placed.profile} at {spot.placed.window.start} of {spot.gpu} on {spot.node}"
    if not desk.is_ours(spot.node) or not desk.is_as_stored(spot.node, spot.gpu, spot.placed):
        return f"{where}: reserved"
    if tracked.is_free(spot.gpu, spot.placed):
        return None
    report = tracked.reports.get((spot.gpu, spot.placed))
    if report is None or not tracked.is_judged(spot.gpu, spot.placed) or report.state is SliceState.FREE:
        return f"{where}: waits for the node's agent"
    return f"{where}: {report.state.value}{': ' if report.message else ''}{report.message}"


def _release(desk: Desk, fleet: Fleet, pod: MigPod, spots: list[Spot]) -> None:
    if len(desk.pod_writes) >= MOST_AT_ONCE:
        return
    node = spots[0].node
    fleet.grant(pod, node)
    desk.says(pod, Reason.ALLOCATED, _allocated(spots))
    desk.notes.nominated[pod.uid] = desk.now
    desk.pod_writes.append(
        PodWrite(
            pod,
            desk.outcomes[pod.uid],
            nominate=node if pod.nominated != node else None,
            allocation=_annotation(pod, spots),
            ungate=True,
        )
    )


def _keep_nominated(desk: Desk, pod: MigPod, spots: list[Spot]) -> None:
    desk.notes.released.setdefault(pod.uid, desk.now)
    desk.says(pod, Reason.ALLOCATED, _allocated(spots))
    node = spots[0].node
    due = desk.now - desk.notes.nominated.get(pod.uid, desk.now - RENOMINATE_S) >= RENOMINATE_S
    nominate = node if pod.nominated != node and due else None
    annotation = _annotation(pod, spots)
    allocation = annotation if annotation != pod.allocation else None
    if nominate is not None or allocation is not None:
        desk.notes.nominated[pod.uid] = desk.now
        desk.pod_writes.append(PodWrite(pod, nominate=nominate, allocation=allocation))


def _correct_annotation(desk: Desk, pod: MigPod, spots: list[Spot]) -> None:
    """A bound Pod's annotation names the slices that it holds, once the stored spec says so."""
    annotation = _annotation(pod, spots)
    if annotation != pod.allocation and all(desk.is_as_stored(spot.node, spot.gpu, spot.placed) for spot in spots):
        desk.pod_writes.append(PodWrite(pod, allocation=annotation))


def _allocated(spots: list[Spot]) -> str:
    slices = ", ".join(
        f"{spot.claim.container}: {spot.placed.profile} at {spot.placed.window.start} of {spot.gpu}"
        for spot in sorted(spots, key=lambda spot: spot.claim.container)
    )
    return f"{slices} on {spots[0].node}"


def _annotation(pod: MigPod, spots: list[Spot]) -> str:
    where = {
        spot.claim.container: Allotment(spot.node, spot.gpu, spot.placed.profile, spot.placed.window.start)
        for spot in spots
    }
    return allocation_to_annotation(pod.needs, where)
