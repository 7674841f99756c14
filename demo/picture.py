"""The picture of every GPU's slots, drawn for a terminal with rich.

One line a GPU, one cell a memory slice: who uses it, what is warm, what is being made, what is foreign, what is free.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo.timeline import PodTrack, Step, Timeline
from mig.migspec import Claim, MigMode, MigSpec, SliceState, StatusGpu, StatusSlice

CELL: Final = 9
"""Characters that one memory slice takes: an 8-wide grid fits a terminal of 100 columns."""
_PALETTE: Final = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")
_STYLES: Final = {
    SliceState.FREE: "black on white",
    SliceState.CREATING: "black on yellow",
    SliceState.DELETING: "white on grey37",
    SliceState.RELEASE_BLOCKED: "white on red",
    SliceState.FAILED: "white on red",
    SliceState.FOREIGN: "white on grey23",
}


def gpus_picture(migspecs: Mapping[str, MigSpec]) -> RenderableType:
    """Every GPU of every node."""
    rows: list[RenderableType] = []
    for name in sorted(migspecs):
        migspec = migspecs[name]
        for gpu in migspec.status.gpus if migspec.status else ():
            rows.append(_heading(name, gpu))
            rows.append(_bar(gpu, _claims(migspec, gpu.uuid)))
    return Group(*rows) if rows else Text("no GPU reported yet", style="dim")


def _heading(node: str, gpu: StatusGpu) -> Text:
    mode = "" if gpu.mig_mode is MigMode.ENABLED else f", MIG {gpu.mig_mode.value}: left alone"
    return Text(f"{node}  GPU {gpu.index}  {gpu.model}{mode}", style="bold")


def _claims(migspec: MigSpec, uuid: str) -> Mapping[int, Claim]:
    return {item.window.start: claim for gpu, item, claim in migspec.spec.claims() if gpu.uuid == uuid}


def _bar(gpu: StatusGpu, claims: Mapping[int, Claim]) -> Text:
    bar = Text("  ")
    slices = {item.window.start: item for item in gpu.slices}
    start = 0
    while start < gpu.grid_width:
        item = slices.get(start)
        if item is None:
            bar.append("·".center(CELL - 1) + " ", style="dim")
            start += 1
        else:
            width = CELL * item.window.size - 1
            bar.append(
                _label(item, claims.get(start), width).center(width)[:width], style=_style(item, claims.get(start))
            )
            bar.append(" ")
            start = item.window.end
    return bar


def _label(item: StatusSlice, claim: Claim | None, width: int) -> str:
    holder = item.holder.name if item.holder else (claim.pod if claim else item.state.value.lower())
    full = f"{item.profile} {holder}"
    return full if len(full) <= width else holder if len(holder) <= width else str(item.profile)


def _style(item: StatusSlice, claim: Claim | None) -> str:
    holder = item.holder.name if item.holder else (claim.pod if claim else "")
    if item.state is SliceState.USED or (item.state is SliceState.FREE and claim):
        return f"black on {_PALETTE[sum(map(ord, holder)) % len(_PALETTE)]}"
    return _STYLES.get(item.state, "")


def pods_table(tracks: Iterable[PodTrack]) -> Table:
    """One line a Pod: what it asks for, how far it is, and how long each step took."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("POD", "ASKS FOR", "STATE"):
        table.add_column(column, no_wrap=True)
    for step in (Step.RESERVED, Step.READY, Step.UNGATED, Step.BOUND, Step.RUNNING):
        table.add_column(step.value, justify="right", no_wrap=True)
    table.add_column("WHERE / WHY", overflow="fold")
    for track in tracks:
        table.add_row(
            track.name,
            " + ".join(track.profiles.values()),
            _state(track),
            *(_seconds(track, step) for step in (Step.RESERVED, Step.READY, Step.UNGATED, Step.BOUND, Step.RUNNING)),
            _where(track),
        )
    return table


def _state(track: PodTrack) -> Text:
    if track.phase == "Running":
        return Text("Running", style="green")
    if track.phase == "Pending":
        return Text(track.reason or "Pending", style="yellow")
    return Text(track.phase, style="dim" if track.phase == "Succeeded" else "red")


def _seconds(track: PodTrack, step: Step) -> str:
    taken = track.seconds(step)
    return "" if taken is None else f"{taken:.2f} s"


def _where(track: PodTrack) -> Text:
    if track.node:
        places = sorted({f"{place['profile']}@{place['start']}" for place in track.allocation.values()})
        return Text(f"{track.node}  {', '.join(places)}")
    return Text(track.message, style="yellow")


def summary(timeline: Timeline) -> str:
    """One sentence for a log that shows no picture."""
    tracks = list(timeline.pods.values())
    running = sum(track.phase == "Running" for track in tracks)
    waiting = [f"{track.name} ({track.reason or 'new'})" for track in tracks if track.phase == "Pending"]
    return f"{running} of {len(tracks)} Pods run" + (f"; waiting: {', '.join(waiting)}" if waiting else "")
