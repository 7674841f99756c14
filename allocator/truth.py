"""Claims follow the slices that Pods really hold.

Slices of one profile on a node are interchangeable, and the kubelet may hand out another than the one that was meant. The
report says who holds what: the holder gets the claim on that slice, and whoever had it gets the one that became vacant, all in
one write of that node. Nobody who runs ever loses a slice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from allocator.desk import Desk
from allocator.pods import MigPod
from allocator.view import Tracked
from mig.demand import Need
from mig.migspec import Claim, Holder
from mig.occupancy import Placed

_Slot = tuple[str, Placed]


@dataclass(frozen=True, slots=True)
class _Held:
    pod: MigPod
    need: Need


def rematch(desk: Desk) -> None:
    """Bring the claims of every node in line with its report."""
    by_name = {(pod.wish.namespace, pod.wish.name): pod for pod in desk.view.pods.values() if pod.node}
    for name, tracked in desk.view.specs.items():
        if desk.is_ours(name) and tracked.migspec.status is not None:
            held = _held(desk, tracked, by_name)
            if held:
                _rematch_node(desk, name, held)


def _held(desk: Desk, tracked: Tracked, by_name: Mapping[tuple[str, str], MigPod]) -> dict[_Slot, _Held]:
    """Who holds which slice, by Pods that are bound here; each need once."""
    node = tracked.migspec.name
    held: dict[_Slot, _Held] = {}
    taken: set[tuple[str, str]] = set()
    for slot, report in sorted(tracked.reports.items(), key=lambda item: _claimed_first(desk, node, item[0])):
        if report.holder is None or not report.owned or slot[0] not in desk.slots(node):
            continue
        pod = desk.view.pods.get(report.holder.uid)
        if not report.holder.uid:
            pod = by_name.get((report.holder.namespace, report.holder.name))
        if pod is None or pod.node != node or pod.uid in desk.left:
            continue
        need = _need(pod, report.holder, slot[1], taken, preferred=desk.slots(node)[slot[0]].get(slot[1]))
        if need is not None:
            taken.add((pod.uid, need.container))
            held[slot] = _Held(pod, need)
    return held


def _claimed_first(desk: Desk, node: str, slot: _Slot) -> tuple[bool, str, Placed]:
    return desk.slots(node).get(slot[0], {}).get(slot[1]) is None, *slot


def _need(
    pod: MigPod, holder: Holder, placed: Placed, taken: set[tuple[str, str]], *, preferred: Claim | None
) -> Need | None:
    """The need that this slice serves; the one that claims it already where several would do."""
    fitting = [
        need
        for need in pod.needs
        if need.profile == placed.profile
        and (not holder.container or holder.container in need.containers)
        and (pod.uid, need.container) not in taken
    ]
    own = preferred.container if preferred is not None and preferred.uid == pod.uid else ""
    return min(fitting, key=lambda need: need.container != own, default=None)


def _rematch_node(desk: Desk, node: str, held: Mapping[_Slot, _Held]) -> None:
    holders = {(item.pod.uid, item.need.container) for item in held.values()}
    displaced: list[Claim] = []
    vacated: list[_Slot] = []
    for (gpu, placed), item in held.items():
        if placed not in desk.slots(node)[gpu] and not _add(desk, node, gpu, placed):
            continue
        before = desk.slots(node)[gpu][placed]
        own = (item.pod.uid, item.need.container)
        if before is not None and (before.uid, before.container) == own:
            continue
        for spot in desk.spots(item.pod.uid):
            if spot.claim.container == item.need.container:
                desk.unclaim(spot.node, spot.gpu, spot.placed)
                vacated.append((spot.gpu, spot.placed))
        desk.claim(node, gpu, placed, item.pod, item.need)
        if before is not None and (before.uid, before.container) not in holders:
            displaced.append(before)
    for claim in displaced:
        _rehouse(desk, node, claim, vacated)


def _add(desk: Desk, node: str, gpu: str, placed: Placed) -> bool:
    """Put a slice that is held but not wanted back into the spec, unless something else is wanted in its place."""
    if any(placed.window.overlaps(other.window) for other in desk.slots(node)[gpu]):
        return False
    desk.add(node, gpu, placed)
    return True


def _rehouse(desk: Desk, node: str, claim: Claim, vacated: list[_Slot]) -> None:
    """Give a displaced claim an equal slice that became vacant here; without one its Pod waits again."""
    pod = desk.view.pods.get(claim.uid)
    need = next((need for need in pod.needs if need.container == claim.container), None) if pod else None
    if pod is None or need is None:
        return
    for gpu, placed in vacated:
        if placed.profile == need.profile and desk.slots(node)[gpu].get(placed, claim) is None:
            desk.claim(node, gpu, placed, pod, need)
            return
    desk.left.add(pod.uid)
