"""An inspection as people read it, and as programs do. Pure.

`?` stands for a source that could not be read, `-` for one that says nothing of the place.
"""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mig.migspec import MigMode, StatusSlice
from nodeagent.inspection.values import CountRow, GpuTable, Inspection, Row
from nodeagent.values import Instance

UNKNOWN: Final = "?"
SILENT: Final = "-"
LAST_COLUMN: Final = 40
"""Characters that the column of words gets at least, on however narrow a terminal."""

SLICE_TITLES: Final = ("PLACE", "PROFILE", "DRIVER", "SPEC", "STATUS", "LEDGER", "KUBELET", "WHERE THEY DIFFER")
COUNT_TITLES: Final = ("RESOURCE", "SLICES", "OFFERED", "CAPACITY", "ALLOCATABLE", "WHERE THEY DIFFER")


def as_text(inspection: Inspection, *, width: int) -> str:
    """Tables, and a last line that says how it stands."""
    parts = ["\n".join([f"Node {inspection.node}", *(f"  {note}" for note in inspection.notes)])]
    parts += [_gpu(table, width) for table in inspection.gpus]
    if inspection.counts:
        parts.append(_columns(COUNT_TITLES, [_count_cells(row) for row in inspection.counts], width))
    parts.append("\n".join(_verdict(inspection)))
    return "\n\n".join(parts) + "\n"


def as_json(inspection: Inspection) -> dict[str, Any]:
    """The same for programs; what could not be read is null."""
    return {
        "node": inspection.node,
        "notes": list(inspection.notes),
        "gpus": [
            {
                "uuid": gpu.uuid,
                "index": gpu.index,
                "model": gpu.model,
                "migMode": gpu.mig_mode if gpu.mig_mode != UNKNOWN else None,
                "slices": [_row_json(row, gpu) for row in gpu.rows],
                "differences": list(gpu.differences),
            }
            for gpu in inspection.gpus
        ],
        "resources": [
            {
                "resource": row.resource,
                "slices": row.slices,
                "offered": row.offered,
                "capacity": row.capacity,
                "allocatable": row.allocatable,
                "differences": [row.difference] if row.difference else [],
            }
            for row in inspection.counts
        ],
        "differences": list(inspection.differences),
        "unread": dict(inspection.unread),
        "exitStatus": inspection.exit_status,
    }


def _row_json(row: Row, gpu: GpuTable) -> dict[str, Any]:
    instance, wanted, reported = row.instance, row.wanted, row.reported
    claim = wanted.claim if wanted else None
    holder = reported.holder if reported else None
    return {
        "start": row.placed.window.start,
        "size": row.placed.window.size,
        "profile": str(row.placed.profile),
        "driver": {"exists": instance is not None, "uuid": instance.uuid, "gpuInstance": instance.gi, "pids": row.pids}
        if instance
        else {"exists": False}
        if gpu.known.driver
        else None,
        "spec": {"wanted": wanted is not None, "claim": f"{claim.namespace}/{claim.pod}" if claim else None},
        "status": {
            "state": reported.state,
            "uuid": reported.uuid,
            "message": reported.message,
            "holder": f"{holder.namespace}/{holder.name}" if holder else None,
        }
        if reported
        else None,
        "ours": row.ours,
        "kubelet": {"offered": row.offered, "holder": row.holder or None} if gpu.known.offers else None,
        "differences": list(row.differences),
    }


def _gpu(table: GpuTable, width: int) -> str:
    index = UNKNOWN if table.index is None else str(table.index)
    lines = [f"GPU {index}  {table.uuid}  {table.model}  MIG {table.mig_mode}"]
    for text in table.differences:
        lines += textwrap.wrap(f"! {text}", max(width, LAST_COLUMN), initial_indent="  ", subsequent_indent="    ")
    if table.rows:
        lines.append(_columns(SLICE_TITLES, [_cells(row, table) for row in table.rows], width))
    elif table.mig_mode == MigMode.ENABLED:
        lines.append("  no slices, and none wanted")
    return "\n".join(lines)


def _cells(row: Row, table: GpuTable) -> list[str]:
    known = table.known
    window = row.placed.window
    return [
        f"{window.start}+{window.size}",
        str(row.placed.profile),
        _driver(row.instance, row.pids) if row.instance else SILENT if known.driver else UNKNOWN,
        _spec(row, table),
        _status(row.reported) if row.reported else SILENT if known.status else UNKNOWN,
        (SILENT if row.entry is None else "ours" if row.ours else "another") if known.ledger else UNKNOWN,
        _kubelet(row) if known.offers else UNKNOWN,
        "; ".join(row.differences) or _remark(row.reported),
    ]


def _driver(instance: Instance, pids: Sequence[int]) -> str:
    what = instance.uuid or ("no compute instance" if instance.half_made else "cut into other compute instances")
    using = f", pids {' '.join(map(str, pids))}" if pids else ""
    return f"{what}, GI {instance.gi}{using}"


def _spec(row: Row, table: GpuTable) -> str:
    if row.wanted is None:
        return SILENT if table.known.spec else "left as it is"
    claim = row.wanted.claim
    return f"{claim.namespace}/{claim.pod} {claim.container}" if claim else "warm"


def _status(reported: StatusSlice) -> str:
    holder = f" by {reported.holder.namespace}/{reported.holder.name}" if reported.holder else ""
    return f"{reported.state}{holder}"


def _remark(reported: StatusSlice | None) -> str:
    """What the report says besides, in brackets: it is no difference."""
    return f"({reported.message})" if reported and reported.message else SILENT


def _kubelet(row: Row) -> str:
    offered = "offered" if row.offered else SILENT
    return f"{offered}, {row.holder} {row.holding.container}" if row.holding else offered


def _count_cells(row: CountRow) -> list[str]:
    numbers = (row.slices, row.offered, row.capacity, row.allocatable)
    return [row.resource, *(UNKNOWN if each is None else str(each) for each in numbers), row.difference or SILENT]


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Columns as wide as their widest cell; the last one is wrapped."""
    widths = [max(len(line[number]) for line in (titles, *rows)) for number in range(len(titles) - 1)]
    indent = "  "
    before = len(indent) + sum(each + 2 for each in widths)
    room = max(width - before, LAST_COLUMN)
    lines: list[str] = []
    for row in (titles, *rows):
        head = indent + "".join(f"{cell:<{each}}  " for cell, each in zip(row, widths, strict=False))
        words = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append((head + words[0]).rstrip())
        lines += [" " * before + more for more in words[1:]]
    return "\n".join(lines)


def _verdict(inspection: Inspection) -> Iterable[str]:
    for text in inspection.differences:
        yield f"! {text}"
    for name, why in inspection.unread:
        yield f"could not be read: {name}: {why}"
    number = len(list(inspection.all_differences()))
    if number:
        yield f"{number} difference{'s' if number > 1 else ''}."
    elif inspection.unread:
        yield "What could be read agrees."
    else:
        yield "All agree."
