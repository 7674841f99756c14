"""Puts what the sources say together: one row a slice, one table a GPU, one line a resource, and what differs. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mig.migspec import MigSpec, SliceState, Spec, SpecGpu, Status, StatusGpu
from mig.names import PARTITIONING_LABEL, PARTITIONING_MIG
from nodeagent.gpus.ledger import Stored
from nodeagent.gpus.ownership import Entry, is_ours
from nodeagent.inspection.rules import UNANSWERED, differences
from nodeagent.inspection.values import (
    CountRow,
    DriverReading,
    GpuReading,
    GpuTable,
    Holding,
    Inspection,
    Known,
    Row,
    Sources,
    Unread,
)
from nodeagent.kubelet.counts import Counts


def inspect(sources: Sources) -> Inspection:
    """Everything that was asked, side by side."""
    gpus = tuple(_tables(sources))
    return Inspection(
        node=sources.node,
        notes=tuple(_notes(sources)),
        gpus=gpus,
        counts=tuple(_counts(sources, gpus)),
        differences=tuple(_of_the_node(sources, gpus)),
        unread=tuple(sources.unread()),
    )


def _migspec(sources: Sources) -> MigSpec | None:
    return sources.migspec if isinstance(sources.migspec, MigSpec) else None


def _status(sources: Sources) -> Status | None:
    migspec = _migspec(sources)
    return migspec.status if migspec else None


def _spec(sources: Sources) -> Spec | None:
    migspec = _migspec(sources)
    return migspec.spec if migspec else None


def _readings(sources: Sources) -> Mapping[str, GpuReading]:
    gpus = sources.driver.gpus.values() if isinstance(sources.driver, DriverReading) else ()
    return {each.gpu.uuid: each for each in gpus if isinstance(each, GpuReading)}


def _all_gpus_read(sources: Sources) -> bool:
    """Whether a GPU that the driver does not show is really not there."""
    return isinstance(sources.driver, DriverReading) and all(
        isinstance(each, GpuReading) for each in sources.driver.gpus.values()
    )


def _entries(sources: Sources) -> frozenset[Entry]:
    """The ledger's, if they are of this boot: instances vanish with a reboot."""
    ledger = sources.ledger
    return ledger.entries if isinstance(ledger, Stored) and ledger.boot_id == sources.boot_id else frozenset()


def _tables(sources: Sources) -> Iterator[GpuTable]:
    readings, status, spec = _readings(sources), _status(sources), _spec(sources)
    reported = {gpu.uuid: gpu for gpu in status.gpus} if status else {}
    named = {gpu.uuid: gpu for gpu in spec.gpus} if spec else {}
    ledger = {entry.gpu for entry in _entries(sources)}
    uuids = dict.fromkeys([*readings, *reported, *named, *sorted(ledger)])
    for uuid in uuids:
        yield _table(sources, uuid, readings.get(uuid), reported.get(uuid), named.get(uuid))


def _table(
    sources: Sources, uuid: str, reading: GpuReading | None, reported: StatusGpu | None, named: SpecGpu | None
) -> GpuTable:
    migspec = _migspec(sources)
    index = reading.gpu.index if reading else reported.index if reported else None
    known = Known(
        driver=reading is not None or _all_gpus_read(sources),
        spec=named is not None,
        status=_status(sources) is not None,
        current=migspec is not None
        and migspec.status is not None
        and migspec.status.observed_generation == migspec.generation,
        ledger=isinstance(sources.ledger, Stored),
        offers=not isinstance(sources.offered, Unread),
        ours_alone=not sources.beside_nvidia,
        index=index,
    )
    rows = (_whole(row, sources) for row in _rows(uuid, reading, reported, named, _entries(sources)))
    return GpuTable(
        uuid=uuid,
        index=index,
        model=reading.gpu.model if reading else reported.model if reported else "?",
        mig_mode=reading.gpu.mig_mode if reading else "?",
        known=known,
        rows=tuple(replace(row, differences=differences(row, known)) for row in rows),
        differences=tuple(_of_a_gpu(known, reading, reported, named)),
    )


def _rows(
    uuid: str,
    reading: GpuReading | None,
    reported: StatusGpu | None,
    named: SpecGpu | None,
    entries: Iterable[Entry],
) -> Iterator[Row]:
    """One for each place that somebody speaks of, by place."""
    on_gpu = {item.placed: item for item in reading.instances} if reading else {}
    in_report = {item.placed: item for item in reported.slices} if reported else {}
    in_spec = {item.placed: item for item in named.slices} if named else {}
    in_ledger = {entry.placed: entry for entry in entries if entry.gpu == uuid}
    for placed in sorted({*on_gpu, *in_report, *in_spec, *in_ledger}):
        instance = on_gpu.get(placed)
        yield Row(
            placed=placed,
            instance=instance,
            pids=tuple(reading.processes.get(instance.gi, ())) if reading and instance else (),
            wanted=in_spec.get(placed),
            reported=in_report.get(placed),
            entry=in_ledger.get(placed),
        )


def _whole(row: Row, sources: Sources) -> Row:
    """With what is known by its place's device id: whose it is, whether it is offered, who has it."""
    ours = row.reported.owned if row.reported else None
    if isinstance(sources.ledger, Stored):
        ours = row.entry is not None and (row.instance is None or is_ours(row.entry, row.instance))
    offers = {} if isinstance(sources.offered, Unread) else sources.offered
    holding = _holding(row.device_id, sources)
    return replace(
        row,
        ours=ours,
        offered=bool(row.device_id) and row.device_id in offers.get(row.placed.profile.resource, ()),
        holding=holding,
        holder=_pod_name(holding, sources) if holding else "",
    )


def _holding(device_id: str, sources: Sources) -> Holding | None:
    """Who has it by the kubelet, if that Pod lives; where the Pods are not known, whoever it says."""
    if isinstance(sources.holdings, Unread) or not device_id:
        return None
    for each in sources.holdings:
        if each.device_id != device_id:
            continue
        pod = None if isinstance(sources.pods, Unread) else sources.pods.get(each.pod_uid)
        if isinstance(sources.pods, Unread) or (pod is not None and not pod.finished):
            return each
    return None


def _pod_name(holding: Holding, sources: Sources) -> str:
    pod = None if isinstance(sources.pods, Unread) else sources.pods.get(holding.pod_uid)
    return f"{pod.namespace}/{pod.name}" if pod else f"Pod {holding.pod_uid}"


def _of_a_gpu(
    known: Known, reading: GpuReading | None, reported: StatusGpu | None, named: SpecGpu | None
) -> Iterator[str]:
    if reading is None and known.driver:
        who = "the spec" if reported is None and named is not None else "the report"
        yield f"{who} names this GPU, and the driver does not show it: it was removed or replaced"
    if reported is not None and reported.trouble:
        yield f"the agent says: {reported.trouble}"
    if reading is not None and reported is None and known.status:
        yield "not in the agent's report; " + UNANSWERED.replace("this spec", "since it is there")
    if reading is not None and reported is not None and reading.gpu.mig_mode is not reported.mig_mode:
        yield f"MIG mode is {reading.gpu.mig_mode} by the driver and {reported.mig_mode} by the report"


def _notes(sources: Sources) -> Iterator[str]:
    if sources.migspec is None:
        label = f"{PARTITIONING_LABEL}={PARTITIONING_MIG}"
        yield f"there is no MigSpec {sources.node}: the node is not handed over (label {label}), or no allocator runs"
    migspec = _migspec(sources)
    if migspec is not None:
        answered = f"reported {migspec.status.observed_generation}" if migspec.status else "never reported"
        yield f"MigSpec generation {migspec.generation}, {answered}, epoch {migspec.spec.leader_epoch}"
        for condition in migspec.status.conditions if migspec.status else ():
            yield f"{condition.type} {condition.status} ({condition.reason}): {condition.message}"
    if isinstance(sources.driver, DriverReading):
        yield f"driver {sources.driver.version}, {len(sources.driver.gpus)} GPUs"
    if isinstance(sources.ledger, Stored) and sources.ledger.boot_id != sources.boot_id:
        yield "the ledger is of another boot, so its entries are void"


def _of_the_node(sources: Sources, gpus: Iterable[GpuTable]) -> Iterator[str]:
    migspec, status = _migspec(sources), _status(sources)
    if migspec is not None and status is None:
        yield "the agent has never reported; look whether it runs and what it logs"
    if migspec is not None and status is not None and status.observed_generation != migspec.generation:
        yield f"the report answers generation {status.observed_generation}, the spec is at {migspec.generation}; {UNANSWERED}"
    if status is not None and status.boot_id not in ("", sources.boot_id):
        yield "the report is of another boot; look whether the agent runs and what it logs"
    version = sources.driver.version if isinstance(sources.driver, DriverReading) else ""
    if status is not None and version and status.driver_version not in ("", version):
        yield f"the driver is {version} and {status.driver_version} by the report: restart the agent"
    if isinstance(sources.offered, Unread) or not _all_gpus_read(sources):
        return
    ids = {row.device_id for gpu in gpus for row in gpu.rows}
    for resource, offered in sorted(sources.offered.items()):
        if strange := sorted(offered - ids):
            yield f"the kubelet offers {', '.join(strange)} under {resource}, which is no slice of this node"


def _counts(sources: Sources, gpus: tuple[GpuTable, ...]) -> Iterator[CountRow]:
    rows = [row for gpu in gpus for row in gpu.rows]
    ours = [row for row in rows if row.instance is not None and row.ours]
    offers = None if isinstance(sources.offered, Unread) else sources.offered
    shown = None if isinstance(sources.counts, Unread) else sources.counts
    whose = isinstance(sources.driver, DriverReading) and not any(row.ours is None for row in rows if row.instance)
    names = {row.placed.profile.resource for row in ours} | set(offers or ())
    names |= {*shown.capacity, *shown.allocatable} if shown else set()
    for resource in sorted(names):
        offered = len(offers.get(resource, ())) if offers is not None else None
        going = sum(
            row.offered
            and row.placed.profile.resource == resource
            and row.reported is not None
            and row.reported.state in (SliceState.DELETING, SliceState.RELEASE_BLOCKED)
            for row in rows
        )
        yield CountRow(
            resource=resource,
            slices=sum(row.placed.profile.resource == resource for row in ours) if whose else None,
            offered=offered,
            capacity=shown.capacity.get(resource, 0) if shown else None,
            allocatable=shown.allocatable.get(resource, 0) if shown else None,
            difference=_count_difference(resource, shown, offered, going),
        )


def _count_difference(resource: str, shown: Counts | None, offered: int | None, going: int) -> str:
    """Allocatable is what the kubelet offers, less what is being taken away."""
    if shown is None or offered is None:
        return ""
    allocatable = shown.allocatable.get(resource, 0)
    if allocatable in (offered, offered - going):
        return ""
    return (
        f"the Node shows {allocatable}, the kubelet offers {offered}: the agent corrects that within a second; "
        "if this stays, look whether it runs, and at its rights on nodes/status"
    )
