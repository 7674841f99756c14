"""Which instances are ours: the entries that were written down before each was made, matched with what is there. Pure.

What is unknown is foreign. An entry is an intent until its instance is seen; then it also carries the MIG device's UUID. An
instance is ours when an entry stands for its very place and profile and, where both know a UUID, the same device. A GI of
ours that somebody else filled differently is not ours any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mig.migspec import SliceState, Status
from mig.occupancy import Placed
from nodeagent.values import Instance


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One instance that we make or made. `uuid` is empty while it is an intent."""

    gpu: str
    placed: Placed
    uuid: str = ""


def is_ours(entry: Entry, instance: Instance) -> bool:
    """Whether the entry stands for this instance."""
    return (
        entry.gpu == instance.gpu
        and entry.placed == instance.placed
        and instance.whole
        and (not entry.uuid or not instance.uuid or entry.uuid == instance.uuid)
    )


def owned_among(instances: Iterable[Instance], entries: Iterable[Entry]) -> frozenset[Instance]:
    """Those of the instances that are ours."""
    by_place = {(entry.gpu, entry.placed): entry for entry in entries}
    return frozenset(
        instance
        for instance in instances
        if (entry := by_place.get((instance.gpu, instance.placed))) is not None and is_ours(entry, instance)
    )


def settled(entries: Iterable[Entry], readings: Mapping[str, tuple[Instance, ...]]) -> frozenset[Entry]:
    """The entries after GPUs were read: UUIDs filled in, and without those whose instance is not there.

    `readings` holds each GPU that was read, by UUID; entries of other GPUs stay, since unknown is not gone. An entry whose GI
    has lost its CI is an intent again: the CI that completes it may be another device.
    """
    result: set[Entry] = set()
    for entry in entries:
        if entry.gpu not in readings:
            result.add(entry)
            continue
        for instance in readings[entry.gpu]:
            if is_ours(entry, instance):
                result.add(Entry(entry.gpu, entry.placed, instance.uuid))
    return frozenset(result)


def entries_from_status(status: Status | None, *, boot_id: str) -> frozenset[Entry]:
    """What our last report says is ours, for when the ledger is lost; nothing if the node was rebooted since.

    A slice that was being made counts as an intent: the report with `Creating` is written before the driver is asked.
    """
    if status is None or status.boot_id != boot_id:
        return frozenset()
    return frozenset(
        Entry(gpu.uuid, item.placed, item.uuid)
        for gpu in status.gpus
        for item in gpu.slices
        if item.owned and item.state not in (SliceState.FOREIGN, SliceState.FAILED)
    )
