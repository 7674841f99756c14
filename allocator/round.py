"""One round of the allocator, as a pure function: the cluster as it is in, what to write out.

Every round starts from what the API server holds and needs nothing from the one before but a few times (`Memory`). So a crash
between any two writes is followed by the same decisions again, and a write that was lost is simply decided again. The order of
the steps matters: what is true comes before what is wished, giving up before taking.
"""

from collections import defaultdict
from dataclasses import replace

from allocator.decisions import Decisions, Memory, Write
from allocator.desk import Desk
from allocator.failures import clear_failures
from allocator.fleetview import Fleet
from allocator.found import take_in
from allocator.moving import move
from allocator.nodelife import NodeLife, live
from allocator.placement.engine import Engine
from allocator.ready import let_go
from allocator.release import release
from allocator.settle import settle
from allocator.truth import rematch
from allocator.verdicts import tell
from allocator.view import View
from allocator.waiting import place_waiting


def decide(view: View, *, now: float, memory: Memory, engine: Engine) -> Decisions:
    """Decide one round at time `now` (seconds of any clock that never steps).

    What the engine knew before saves work and changes nothing but by the demand that it follows.
    """
    highest = max((tracked.migspec.spec.leader_epoch for tracked in view.specs.values()), default=0)
    if highest > view.epoch:
        return Decisions(memory=memory, deposed_by=highest)
    desk, life = stand(view, now=now, memory=memory)
    fleet = Fleet(desk)
    move(desk, fleet, engine)
    place_waiting(desk, fleet, engine)
    let_go(desk, fleet)
    tell(desk)
    return Decisions(
        creates=tuple(life.creates),
        writes=(*_writes(desk), *_fences(desk)),
        removes=tuple(life.removes),
        labels=tuple(life.labels),
        pods=tuple(desk.pod_writes),
        outcomes=desk.outcomes,
        memory=desk.notes.memory(),
    )


def stand(view: View, *, now: float, memory: Memory) -> tuple[Desk, NodeLife]:
    """How things stand: the desk once all that is true is on it and all that was lost is given up, before anything is taken."""
    desk = Desk(view, now=now, memory=memory)
    life = live(desk)
    release(desk)
    rematch(desk)
    take_in(desk)
    settle(desk)
    clear_failures(desk)
    return desk, life


def _writes(desk: Desk) -> list[Write]:
    reserved: defaultdict[str, list[str]] = defaultdict(list)
    for uid, node in desk.placed.items():
        reserved[node].append(uid)
    return [
        Write(
            node=tracked.migspec.name,
            uid=tracked.migspec.uid,
            generation=tracked.migspec.generation,
            spec=spec,
            reserved=tuple(reserved[tracked.migspec.name]),
            released=tuple(spot for spot in tracked.spots if spot.claim.uid not in desk.view.pods),
        )
        for tracked, spec in desk.changed_specs()
    ]


def _fences(desk: Desk) -> list[Write]:
    """MigSpecs of an earlier term that turned up late: our epoch goes in first, decisions on them come after."""
    return [
        Write(
            node=name,
            uid=tracked.migspec.uid,
            generation=tracked.migspec.generation,
            spec=replace(tracked.migspec.spec, leader_epoch=desk.view.epoch),
        )
        for name, tracked in desk.view.specs.items()
        if tracked.migspec.spec.leader_epoch < desk.view.epoch
    ]
