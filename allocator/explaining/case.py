"""How it stands with one Pod, worked out by the allocator's own steps on a cluster that was looked at once.

Pure. For a Pod that waits: what the next round would decide, with those before it placed first. For one that has its slices: what
would be decided if it came now and its slices were away, and how its own place compares. What the leader remembers of the last
minute is not known here, so a place that just failed may be named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from allocator.decisions import Memory
from allocator.desk import Desk
from allocator.fleetview import Fleet
from allocator.moving import move
from allocator.placement.batch import Waiting, plan
from allocator.placement.engine import Engine
from allocator.placement.explain import Explanation, explain, rank
from allocator.placement.fit import misfit
from allocator.placement.fleet import NodeView, Wish
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Sought, Standing
from allocator.pods import MigPod
from allocator.round import stand
from allocator.view import Spot, View
from allocator.waiting import MOST_AT_ONCE, queue


class State(StrEnum):
    """What can be said of a Pod that asks for slices and has not finished."""

    UNREADABLE = "unreadable"
    """What it asks for cannot be read."""
    DELETING = "deleting"
    """It is going away before it got a slice."""
    GATED = "gated"
    """Somebody else's gate is on it; ours waits for that."""
    WAITING = "waiting"
    LOST = "lost"
    """Some of its slices were lost: it gives up the rest and waits anew."""
    RESERVED = "reserved"
    """Its slices are reserved, and it is not bound yet."""
    RUNNING = "running"
    """It is bound, and has its slices."""
    UNCLAIMED = "unclaimed"
    """It is bound, and no slice is claimed for it, or not all."""


@dataclass(frozen=True, slots=True)
class Seat:
    """How the place that a Pod of one slice has compares, were it placed now."""

    standing: Standing | None
    """None where its slice could not be put there now: the GPU is in trouble, or the geometries have changed."""
    rank: int | None
    """Among all places there are without it; None without a standing, or where the node would not take the Pod now."""
    misfit: str | None
    """Why the node would not take the Pod now, in words that follow "a node"."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that there is to say of one Pod."""

    pod: MigPod
    state: State
    before: int = 0
    """Pods that wait and are served first."""
    spots: tuple[Spot, ...] = ()
    """The slices that it has."""
    seat: Seat | None = None
    explanation: Explanation | None = None
    planned: Placement | None = None
    """Where planning all who wait together puts it, if that is not where it goes in its turn."""


def case_of(view: View, uid: str, *, engine: Engine) -> Case:
    """The case of a MIG Pod of the view, by an engine that follows the demand; what it knew of a fleet before does not matter."""
    desk, _ = stand(view, now=0.0, memory=Memory())
    pod = view.pods[uid]
    spots = tuple(desk.spots(uid))
    if not pod.needs:
        return Case(pod, State.UNREADABLE)
    if spots and not desk.unmet(pod):
        return _seated(desk, pod, spots, engine)
    if pod.node:
        return Case(pod, State.UNCLAIMED, spots=spots)
    if pod.deleting:
        return Case(pod, State.DELETING, spots=spots)
    return _waiting(desk, pod, spots, engine)


def _waiting(desk: Desk, pod: MigPod, spots: tuple[Spot, ...], engine: Engine) -> Case:
    fleet = Fleet(desk)
    move(desk, fleet, engine)
    ready = queue(desk)
    first = [other for other in ready if other.order < pod.order]
    nodes = fleet.views()
    engine.sync(nodes, geometries=desk.view.geometries)
    plan(engine, _asked(first), most=MOST_AT_ONCE)
    explanation = explain(engine, pod.wish)
    if pod not in ready:
        return Case(
            pod, State.GATED if pod.other_gates else State.LOST, len(first), spots=spots, explanation=explanation
        )
    engine.sync(nodes, geometries=desk.view.geometries)
    answers = plan(engine, _asked(ready), most=MOST_AT_ONCE)
    planned = answers[len(first)] if len(first) < len(answers) else None
    alone = explanation.answer if isinstance(explanation.answer, Refusal) else explanation.answer.chosen.placement
    return Case(
        pod,
        State.WAITING,
        len(first),
        explanation=explanation,
        planned=planned if isinstance(planned, Placement) and planned != alone else None,
    )


def _asked(pods: Sequence[MigPod]) -> list[Waiting]:
    return [Waiting(pod.wish) for pod in pods]


def _seated(desk: Desk, pod: MigPod, spots: tuple[Spot, ...], engine: Engine) -> Case:
    home = pod.node or spots[0].node
    nodes = [_without(node, pod.wish, spots, home=home) for node in Fleet(desk).views()]
    engine.sync(nodes, geometries=desk.view.geometries)
    explanation = explain(engine, pod.wish)
    seat = None
    if len(spots) == 1:
        seat = _seat(engine.sought(pod.wish), nodes, spots[0])
    state = State.RUNNING if pod.node else State.RESERVED
    return Case(pod, state, spots=spots, seat=seat, explanation=explanation)


def _without(node: NodeView, wish: Wish, spots: Sequence[Spot], *, home: str) -> NodeView:
    """A node as it were if the Pod and its slices were not there."""
    here = {(spot.gpu, spot.placed) for spot in spots if spot.node == node.name}
    gpus = tuple(
        replace(
            gpu,
            fixed=tuple(item for item in gpu.fixed if (gpu.uuid, item) not in here),
            ends=tuple((end, item) for end, item in gpu.ends if (gpu.uuid, item) not in here),
        )
        for gpu in node.gpus
    )
    if node.name != home:
        return replace(node, gpus=gpus)
    ports = list(node.used_ports)
    for port in wish.host_ports:
        if port in ports:
            ports.remove(port)
    return replace(node, gpus=gpus, free=node.free.plus(wish.requests), used_ports=tuple(ports))


def _seat(sought: Sought, nodes: Sequence[NodeView], spot: Spot) -> Seat:
    node = next((node for node in nodes if node.name == spot.node), None)
    if node is None:
        return Seat(None, None, "that is not handed over, or has not reported to the allocator")
    card = sought.racks[node.name].cards.get(spot.gpu)
    places = () if card is None else sought.on(card)
    standing = next((it for it in places if it.placement.choices[0].placed == spot.placed), None)
    problem = misfit(sought.wish, node)
    known = None if standing is None or problem is not None else rank(sought, standing)
    return Seat(standing, known, problem)
