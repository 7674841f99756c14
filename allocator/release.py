"""Claims whose reason is gone: of Pods that ended, that were never to be, or that are in two places.

Only the claim goes; the slice stays, warm, and is touched again only when a later report proves it free. Giving up a claim
too early therefore costs a Pod its reservation at worst, never a slice that somebody uses.
"""

from collections import Counter

from allocator.desk import Desk
from allocator.pods import MigPod
from allocator.view import Spot


def release(desk: Desk) -> None:
    """Drop claims that nobody can redeem, then those of Pods that claim on several nodes."""
    for uid in desk.claimants():
        pod = desk.view.pods.get(uid)
        for spot in desk.spots(uid):
            if pod is None or not _can_redeem(desk, pod, spot):
                desk.unclaim(spot.node, spot.gpu, spot.placed)
                desk.left.add(uid)
        if pod is not None:
            _drop_doubles(desk, pod)
            _keep_one_node(desk, pod)


def _can_redeem(desk: Desk, pod: MigPod, spot: Spot) -> bool:
    if pod.deleting and not pod.node:
        return False
    if pod.gated and (pod.other_gates or not desk.is_handed_over(spot.node)):
        return False
    return any(need.container == spot.claim.container and need.profile == spot.placed.profile for need in pod.needs)


def _drop_doubles(desk: Desk, pod: MigPod) -> None:
    """One slice a container on one node: the API server refuses more, so this is for hand-made objects."""
    seen: set[tuple[str, str]] = set()
    for spot in sorted(desk.spots(pod.uid), key=lambda spot: (spot.node, spot.gpu, spot.placed)):
        if (spot.node, spot.claim.container) in seen:
            desk.unclaim(spot.node, spot.gpu, spot.placed)
        seen.add((spot.node, spot.claim.container))


def _keep_one_node(desk: Desk, pod: MigPod) -> None:
    """All slices of a Pod lie on the node where it is, or, before it is anywhere, where most of them are."""
    claims = Counter(spot.node for spot in desk.spots(pod.uid))
    if not claims or (len(claims) == 1 and pod.node in ("", *claims)):
        return
    home = pod.node or _home(pod, claims)
    for node in claims:
        if node != home:
            desk.give_up(pod.uid, node=node)


def _home(pod: MigPod, claims: Counter[str]) -> str:
    if pod.nominated in claims:
        return pod.nominated
    annotated = {place.node for place in pod.allotments.values()}
    return min(claims, key=lambda node: (node not in annotated, -claims[node], node))
