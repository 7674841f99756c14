"""A Pod's case in words and in JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from allocator.explaining.case import Case, Seat, State
from allocator.placement.placement import Placement
from allocator.placement.wording import as_json as explanation_json
from allocator.placement.wording import as_text as explanation_text
from allocator.placement.wording import counted, standing_json, wanted, where
from allocator.view import Spot

Json = Mapping[str, Any]


def as_text(case: Case, notes: Sequence[str] = ()) -> Iterator[str]:
    """Lines; what is about the reading of the cluster comes last."""
    yield from _heading(case)
    if case.explanation is not None:
        yield from explanation_text(case.explanation)
    if case.planned is not None:
        yield f"planned together with all who wait, so that more of them find a place, it goes to {where(case.planned)}"
    if case.pod.condition is not None and case.state is not State.RUNNING:
        yield f"last told: {case.pod.condition.reason}: {case.pod.condition.message}"
    yield from (f"note: {note}" for note in notes)


def _heading(case: Case) -> Iterator[str]:
    pod, wants = case.pod, wanted(case.pod.wish)
    name = f"{pod.wish.namespace}/{pod.wish.name}"
    behind = f", behind {counted(case.before, 'Pod')}" if case.before else ""
    has = "; ".join(map(_slice, case.spots)) or "none"
    match case.state:
        case State.UNREADABLE:
            yield f"{name} asks for slices that cannot be read: {pod.trouble or 'it asks for none'}"
        case State.DELETING:
            yield f"{name} is being deleted; it gets no slice"
        case State.GATED:
            gates = ", ".join(pod.other_gates)
            yield f"{name} wants {wants}, and waits for {gates} to be removed{behind}; were it gone now:"
        case State.LOST:
            yield f"{name} has lost slices and gives up the others ({has}); then it wants {wants} anew{behind}:"
        case State.WAITING:
            yield f"{name} waits for {wants}{behind}; if it is decided now:"
        case State.UNCLAIMED:
            yield f"{name} is bound to {pod.node}; of {wants} it has {has} by the allocator's books"
        case State.RESERVED | State.RUNNING:
            yield f"{name} has {has}" + ("" if pod.node else ", reserved")
            yield from _seat(case.seat)
            yield "were it placed now:"


def _slice(spot: Spot) -> str:
    return f"{spot.placed.profile} at {spot.placed.window.start} on {spot.gpu} of {spot.node}"


def _seat(seat: Seat | None) -> Iterator[str]:
    if seat is None:
        return
    if seat.misfit is not None:
        yield f"  it could not be placed there now: a node {seat.misfit}"
    elif seat.standing is None:
        yield "  its slice could not be put there now: the GPU is in trouble, or the geometries forbid it"
    elif seat.rank == 1:
        yield "  the best place there is without it"
    else:
        yield f"  number {seat.rank} of the places there are without it; its value gains {seat.standing.worth:+.3f}"


def as_json(case: Case, notes: Sequence[str] = ()) -> Json:
    """The same for programs. `decision` is what would be decided now, as `allocator.placement.wording.as_json` has it."""
    pod, told = case.pod, case.pod.condition
    return {
        "pod": {"namespace": pod.wish.namespace, "name": pod.wish.name, "uid": pod.uid},
        "state": str(case.state),
        "wants": [str(need.profile) for need in pod.needs],
        "before": case.before,
        "gates": list(pod.other_gates),
        "told": None if told is None else {"reason": told.reason, "message": told.message},
        "slices": [_spot_json(spot) for spot in case.spots],
        "seat": None if case.seat is None else _seat_json(case.seat),
        "decision": None if case.explanation is None else explanation_json(case.explanation),
        "planned": None if case.planned is None else _placement_json(case.planned),
        "notes": list(notes),
    }


def _spot_json(spot: Spot) -> Json:
    return {
        "container": spot.claim.container,
        "node": spot.node,
        "gpu": spot.gpu,
        "profile": str(spot.placed.profile),
        "start": spot.placed.window.start,
    }


def _seat_json(seat: Seat) -> Json:
    standing = None if seat.standing is None else standing_json(seat.standing)
    return {"rank": seat.rank, "misfit": seat.misfit, "standing": standing}


def _placement_json(placement: Placement) -> Json:
    slices = [
        {"gpu": choice.gpu, "profile": str(choice.placed.profile), "start": choice.placed.window.start}
        for choice in placement.choices
    ]
    return {"node": placement.node, "slices": slices}
