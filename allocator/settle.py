"""Pods beyond the gate that claim nothing: claims are made again from where the Pods are and what their annotations say.

So a MigSpec that was deleted comes back with all its claims, and a Pod that came round the gate, or was bound elsewhere than
planned, is reckoned with before the agent can say which slice it got. Only slices that the spec holds unclaimed and the report
shows free are taken: nothing is made for a Pod that is past its gate here.
"""

from collections.abc import Iterable

from allocator.desk import Desk
from allocator.pods import MigPod
from mig.demand import Need
from mig.migspec import SliceState
from mig.occupancy import Placed


def settle(desk: Desk) -> None:
    """Give unclaimed needs of Pods past the gate the slices that they hold, or will, by all we know."""
    for pod in desk.view.pods.values():
        if pod.gated or pod.uid in desk.left:
            continue
        unmet = desk.unmet(pod)
        if not unmet:
            continue
        if pod.node:
            _settle_on(desk, pod, pod.node, unmet, anywhere=True)
        elif pod.pending and len(unmet) == len(pod.needs):
            _rebuild(desk, pod, unmet)


def _rebuild(desk: Desk, pod: MigPod, unmet: list[Need]) -> None:
    """A Pod that the scheduler has still to bind: exactly what it was told, all of it, or nothing."""
    nodes = {place.node for place in pod.allotments.values()}
    node = nodes.pop() if len(nodes) == 1 else ""
    if not node or (pod.uid, node) in desk.notes.shunned:
        return
    _settle_on(desk, pod, node, unmet, anywhere=False)
    if desk.unmet(pod):
        desk.give_up(pod.uid)


def _settle_on(desk: Desk, pod: MigPod, node: str, unmet: Iterable[Need], *, anywhere: bool) -> None:
    if not desk.is_ours(node):
        return
    for need in unmet:
        slot = _annotated(desk, pod, node, need) or (_any_free(desk, node, need) if anywhere else None)
        if slot is not None:
            desk.claim(node, *slot, pod, need)


def _annotated(desk: Desk, pod: MigPod, node: str, need: Need) -> tuple[str, Placed] | None:
    place = pod.allotments.get(need.container)
    if place is None or place.node != node or place.profile != need.profile:
        return None
    for placed, claim in desk.slots(node).get(place.gpu, {}).items():
        if placed.window.start == place.start and placed.profile == need.profile and claim is None:
            return (place.gpu, placed) if _shows_free(desk, node, place.gpu, placed) else None
    return None


def _any_free(desk: Desk, node: str, need: Need) -> tuple[str, Placed] | None:
    for gpu, placed, claim in desk.slice_list(node):
        if claim is None and placed.profile == need.profile and _shows_free(desk, node, gpu, placed):
            return gpu, placed
    return None


def _shows_free(desk: Desk, node: str, gpu: str, placed: Placed) -> bool:
    report = desk.view.specs[node].reports.get((gpu, placed))
    return report is not None and report.state is SliceState.FREE
