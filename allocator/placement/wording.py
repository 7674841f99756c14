"""An explanation in words for a human, in JSON for a program, and in fields for a log line.

The words are stable: one fact a line, in one order. Values are told in the unit in which places were compared; only differences
between places of one demand mean something.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from allocator.placement.explain import Decision, Explanation, Rival, Survey
from allocator.placement.fleet import Wish
from allocator.placement.outlook import LOOKS
from allocator.placement.placement import Choice, Placement
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Criterion, Standing
from mig.occupancy import Placed

Json = Mapping[str, Any]


def wanted(wish: Wish) -> str:
    """The slices that a Pod needs: "3g.40gb", "2 x 1g.10gb, 3g.40gb"."""
    counts = Counter(need.profile for need in wish.needs)
    return ", ".join(f"{count} x {profile}" if count > 1 else str(profile) for profile, count in sorted(counts.items()))


def where(placement: Placement) -> str:
    """The slices of a place and their GPUs: "3g.40gb at 4, 1g.10gb at 0 on GPU-1 of n1"."""
    by_gpu: dict[str, list[str]] = {}
    for choice in placement.choices:
        by_gpu.setdefault(choice.gpu, []).append(_slice(choice.placed))
    slices = "; ".join(f"{', '.join(names)} on {gpu}" for gpu, names in by_gpu.items())
    return f"{slices} of {placement.node}"


def counted(number: int, noun: str) -> str:
    """One node, two nodes."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_text(explanation: Explanation) -> Iterator[str]:
    """Lines, of which those that say more of the line before them begin with spaces."""
    match explanation.answer:
        case Refusal(reason, message):
            yield f"refused: {reason}: {message}"
        case decision:
            yield f"goes to {where(decision.chosen.placement)}"
            for choice in decision.chosen.placement.choices:
                yield f"  {_made(choice)}"
            yield from (f"  {line}" for line in _reasons(decision.chosen))
            yield from _rivals(decision)
    yield from _counts(explanation.survey, several=len(explanation.wish.needs) > 1)


def _slice(placed: Placed) -> str:
    return f"{placed.profile} at {placed.window.start}"


def _made(choice: Choice) -> str:
    gone = ", ".join(map(_slice, choice.drops))
    made = f"{_slice(choice.placed)} {'is there, warm' if choice.reuse else 'is to be made'}"
    return f"{made}; takes away the warm {gone}" if gone else made


def _reasons(standing: Standing) -> Iterator[str]:
    worth = f"value gains {standing.worth:+.3f}"
    if standing.margin:
        worth += f", of which {standing.margin:+.3f} for reuse"
    if standing.ends is not None:
        worth += f", of which {standing.ends:+.3f} by when the neighbours end"
    yield worth
    if len(standing.placement.choices) > 1:
        yield f"{standing.used} memory slices in use on its GPUs, added up before each slice"
    else:
        yield f"{standing.used} of {standing.width} memory slices of the GPU in use"
    if standing.cost:
        yield f"what it takes away serves {standing.cost:.1%} of demand"
    yield f"{standing.room:.0%} of the node's CPU or memory left, whichever is scarcer"


def _rivals(decision: Decision) -> Iterator[str]:
    several = len(decision.chosen.placement.choices) > 1
    for name, rival in (
        ("on another node" if several else "on another GPU", decision.elsewhere),
        ("on the same GPU", decision.beside),
    ):
        if rival is not None:
            yield f"runner-up {name}: {where(rival.standing.placement)}"
            yield f"  {because(decision.chosen, rival)}"
    if decision.elsewhere is None:
        yield f"no other {'node' if several else 'GPU'} has a place"


def because(chosen: Standing, rival: Rival) -> str:
    """What decided between the place taken and another one."""
    other = rival.standing
    less = chosen.worth - other.worth
    match rival.decided_by:
        case Criterion.PROMISE:
            return f"not looked at: lifetimes are weighed on the {LOOKS} GPUs that promise most"
        case Criterion.VALUE:
            return f"its value gains {less:.3f} less"
        case Criterion.ENDS:
            return f"its value gains {less:.3f} less, and would not if nobody knew when the neighbours end"
        case Criterion.REUSE:
            return f"its value gains {less:.3f} less, and would not if no warm slice were reused"
        case Criterion.FULLER:
            return f"as good, but emptier: {other.used} memory slices in use, not {chosen.used}"
        case Criterion.WARM:
            return f"as good, but what it takes away serves {other.cost:.1%} of demand, not {chosen.cost:.1%}"
        case Criterion.ROOM:
            return f"as good, but its node has {other.room:.0%} of CPU or memory left, not {chosen.room:.0%}"
        case Criterion.NAMES:
            return "as good in all that counts; the order of names decides"


def _counts(survey: Survey, *, several: bool) -> Iterator[str]:
    fitting = f"{survey.fitting} of {counted(survey.nodes, 'node')} can take the Pod"
    if survey.places is None:
        yield fitting
    elif several:
        yield f"{fitting}, {survey.places} of them {'has' if survey.places == 1 else 'have'} room for its slices"
    else:
        yield f"{fitting}, with {counted(survey.places, 'place')} for its slice"
    yield from (f"  left out: {counted(count, 'node')} {reason}" for reason, count in survey.left_out.items())
    if survey.ill:
        yield f"  left out: {counted(survey.ill, 'GPU')} in trouble"


def as_json(explanation: Explanation) -> Json:
    """All that there is to say. A `decidedBy` is one of `Criterion`."""
    survey, answer = explanation.survey, explanation.answer
    counted = {
        "nodes": survey.nodes,
        "fitting": survey.fitting,
        "leftOut": dict(survey.left_out),
        "gpusInTrouble": survey.ill,
        "places": survey.places,
    }
    if isinstance(answer, Refusal):
        return {"refusal": {"reason": str(answer.reason), "message": answer.message}, "chosenFrom": counted}
    return {
        "chosen": standing_json(answer.chosen),
        "elsewhere": _rival_json(answer.elsewhere),
        "beside": _rival_json(answer.beside),
        "chosenFrom": counted,
    }


def standing_json(standing: Standing) -> Json:
    """A place with all that it is compared by."""
    return {
        "node": standing.placement.node,
        "slices": [_choice_json(choice) for choice in standing.placement.choices],
        "worth": standing.worth,
        "margin": standing.margin,
        "ends": standing.ends,
        "used": standing.used,
        "width": standing.width,
        "cost": standing.cost,
        "room": standing.room,
    }


def _choice_json(choice: Choice) -> Json:
    return {
        "containers": list(choice.need.containers),
        "gpu": choice.gpu,
        "profile": str(choice.placed.profile),
        "start": choice.placed.window.start,
        "reuse": choice.reuse,
        "drops": [{"profile": str(gone.profile), "start": gone.window.start} for gone in choice.drops],
    }


def _rival_json(rival: Rival | None) -> Json | None:
    return None if rival is None else {**standing_json(rival.standing), "decidedBy": str(rival.decided_by)}


def as_fields(decision: Decision) -> Json:
    """For a log line: the place, its worth, and for each runner-up where it is and what decided."""
    chosen = decision.chosen
    fields: dict[str, Any] = {"place": where(chosen.placement), "worth": round(chosen.worth, 3)}
    for name, rival in (("elsewhere", decision.elsewhere), ("beside", decision.beside)):
        if rival is not None:
            fields[name] = where(rival.standing.placement)
            fields[f"{name}_because"] = because(chosen, rival)
    return fields
