"""Slices of ours that exist outside the spec, and are free: the spec takes them in, warm.

An agent takes away at once what the spec does not list. What it reports `Free` all the same, in a report that has judged the
spec as it is, it has just taken over by an admin's order, and keeps it for us. Only where nothing else is wanted in its
place; what is left out then goes, once nobody uses it.
"""

from allocator.desk import Desk
from allocator.view import Tracked
from mig.migspec import SliceState


def take_in(desk: Desk) -> None:
    """Add such slices to the specs of the nodes that are handed over."""
    for name, tracked in desk.view.specs.items():
        if desk.is_ours(name) and desk.is_handed_over(name) and tracked.judged == tracked.migspec.generation:
            _take_in(desk, name, tracked)


def _take_in(desk: Desk, name: str, tracked: Tracked) -> None:
    for uuid, gpu in tracked.cut_gpus.items():
        for item in gpu.slices:
            wanted = desk.slots(name).get(uuid)
            if wanted is None or item.placed in tracked.slots.get(uuid, {}):
                continue
            kept = item.owned and bool(item.uuid) and item.state is SliceState.FREE
            if kept and not any(item.window.overlaps(other.window) for other in wanted):
                desk.add(name, uuid, item.placed)
