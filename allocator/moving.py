"""Pods whose reservation has lost its worth: they are given a slice elsewhere, or told what they wait for.

Three ways there: the node of the reservation no longer takes the Pod (cordoned, not Ready, CPU gone, agent silent), its slice is
still to be made on a GPU that got into trouble, or the scheduler, asked, did not bind it. Nothing is given up before another
place is known; where there is none, the Pod keeps what it has. The new place is taken in the next round, when the old claim is
gone from the API server.
"""

from dataclasses import dataclass
from typing import Final

from allocator.desk import Desk
from allocator.fleetview import COMES_BACK_S, Fleet
from allocator.placement.engine import Engine
from allocator.placement.fleet import Reason
from allocator.pods import MigPod

UNSCHEDULABLE_S: Final = 5.0
"""How long a Pod whose slices are ready may stay unbound after the scheduler found no node for it."""

UNBOUND_S: Final = 30.0
"""The same where the scheduler has not said a word: a busy one binds some 30 Pods a second, so it may simply not be there yet."""

SHUN_S: Final = 60.0
"""How long a Pod does not come back to a node that did not take it."""


def move(desk: Desk, fleet: Fleet, engine: Engine) -> None:
    """Look at every reservation that is not redeemed, those that matter least first: where room is short, they go."""
    reserved = [
        pod
        for pod in desk.view.pods.values()
        if not pod.node and pod.uid not in desk.left and desk.spots(pod.uid) and not desk.unmet(pod)
    ]
    for pod in sorted(reserved, key=lambda pod: pod.order, reverse=True):
        node = desk.spots(pod.uid)[0].node
        complaint = _of_node(desk, fleet, pod, node) or _of_gpu(desk, pod)
        if complaint is not None:
            _move(desk, fleet, engine, pod, complaint)


@dataclass(frozen=True, slots=True)
class _Complaint:
    """Why a Pod should go elsewhere, as the end of a sentence; `reason` is what it is told while there is no elsewhere."""

    text: str
    reason: Reason
    leaves_node: bool


def _of_gpu(desk: Desk, pod: MigPod) -> _Complaint | None:
    """A slice is still to be made on a GPU that does not answer: any other may be quicker, on the same node, too."""
    for spot in desk.spots(pod.uid):
        tracked = desk.view.specs[spot.node]
        gpu = tracked.cut_gpus.get(spot.gpu)
        if pod.gated and gpu is not None and gpu.trouble and not tracked.is_free(spot.gpu, spot.placed):
            text = f"its slice is to be made on a GPU in trouble: {gpu.trouble}"
            return _Complaint(text, Reason.CREATING, leaves_node=False)
    return None


def _of_node(desk: Desk, fleet: Fleet, pod: MigPod, node: str) -> _Complaint | None:
    """The node does not take the Pod any more, or the scheduler does not bind it there."""
    text = _misfit(desk, fleet, pod, node)
    return None if text is None else _Complaint(text, Reason.NO_NODE_FITS, leaves_node=True)


def _misfit(desk: Desk, fleet: Fleet, pod: MigPod, node: str) -> str | None:
    if pod.gated:
        misfit = fleet.misfit_at_home(pod, node)
        return None if misfit is None else f"its slices are on {node}, a node {misfit}"
    if fleet.has_left(node):
        return f"its slices are on {node}, whose agent ended {COMES_BACK_S:.0f} s ago and has no successor"
    released = desk.notes.released.get(pod.uid)
    if released is None:
        return None
    if pod.unschedulable and desk.now - released >= UNSCHEDULABLE_S:
        return f"its slices are ready on {node}, but the scheduler says: {pod.unschedulable}"
    if desk.now - released >= UNBOUND_S:
        return f"its slices are ready on {node}, but no scheduler has bound it for {UNBOUND_S:.0f} s"
    return None


def _move(desk: Desk, fleet: Fleet, engine: Engine, pod: MigPod, complaint: _Complaint) -> None:
    node = desk.spots(pod.uid)[0].node
    engine.sync(fleet.views(), geometries=desk.view.geometries, avoid=frozenset(desk.notes.avoided))
    found = engine.find(pod.wish, shunned=shunned(desk, pod) | ({node} if complaint.leaves_node else frozenset()))
    if found is None:
        desk.says(pod, complaint.reason, complaint.text)
        return
    if complaint.leaves_node:
        desk.notes.shunned[pod.uid, node] = desk.now + SHUN_S
    desk.notes.released.pop(pod.uid, None)
    desk.give_up(pod.uid)
    fleet.leaves(pod, node)
    desk.says(pod, Reason.CREATING, f"moves to {found.node}: {complaint.text}")


def shunned(desk: Desk, pod: MigPod) -> frozenset[str]:
    """The nodes to which a Pod does not go now."""
    return frozenset(node for uid, node in desk.notes.shunned if uid == pod.uid)
