"""Reservations that will not come true: their slices failed, are blocked, or their agent has gone silent.

A slice that could not be made leaves the spec, its place is avoided for a while, and its Pod is placed anew. Only Pods that the
scheduler has not bound are touched, and only on a report that has judged the reservation; an agent that reports nothing at all
costs it the Pods that could go elsewhere, never a slice.
"""

from typing import Final

from allocator.desk import Desk
from allocator.pods import MigPod
from allocator.view import Tracked
from mig.migspec import Claim, SliceState, StatusSlice
from mig.occupancy import Placed

AVOID_S: Final = 30.0
"""How long no slice is made where one failed: long against a driver's hiccup, short against a Pod's life.

Where the whole GPU is in trouble nothing is placed anyway, and it may be used as soon as its agent says that it is well."""

_STUBBORN: Final = (SliceState.USED, SliceState.RELEASE_BLOCKED, SliceState.FOREIGN)


def clear_failures(desk: Desk) -> None:
    """Drop slices that cannot be had, and the reservations of their Pods."""
    for name, tracked in desk.view.specs.items():
        if not desk.is_ours(name) or tracked.migspec.status is None:
            continue
        for gpu, placed, claim in desk.slice_list(name):
            if desk.is_as_stored(name, gpu, placed) and tracked.is_judged(gpu, placed):
                _look_at(desk, tracked, gpu, placed, claim)


def _look_at(desk: Desk, tracked: Tracked, gpu: str, placed: Placed, claim: Claim | None) -> None:
    pod = desk.view.pods.get(claim.uid) if claim else None
    if claim is not None and (pod is None or pod.node):
        return
    report = tracked.reports.get((gpu, placed))
    impossible = _is_impossible(tracked, gpu, placed, report)
    useless = report is not None and report.state is SliceState.FAILED
    if pod is not None and (impossible or useless or gpu not in tracked.cut_gpus or _is_taken(pod, report)):
        desk.give_up(pod.uid)
    if impossible:
        if gpu not in tracked.cut_gpus or not tracked.cut_gpus[gpu].trouble:
            desk.notes.avoided[tracked.migspec.name, gpu, placed.window.start] = desk.now + AVOID_S
        desk.remove(tracked.migspec.name, gpu, placed)


def _is_impossible(tracked: Tracked, gpu: str, placed: Placed, report: StatusSlice | None) -> bool:
    """Whether the slice is not there and will not be: it failed, or something stubborn lies in its place.

    One that exists stays in the spec even if it is of no use now: what a GPU in trouble holds is not ours to throw away.
    """
    if report is not None and (report.uuid or report.state is not SliceState.CREATING):
        return report.state is SliceState.FAILED and not report.uuid
    return any(
        other.state in _STUBBORN and placed.window.overlaps(other.window)
        for (where, _), other in tracked.reports.items()
        if where == gpu and other is not report
    )


def _is_taken(pod: MigPod, report: StatusSlice | None) -> bool:
    """Whether somebody else uses the slice of a Pod that cannot have started, since it is still gated."""
    return pod.gated and report is not None and report.state in _STUBBORN
