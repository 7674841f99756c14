"""What to do on one GPU: the difference between the spec and the hardware, as steps that can be done now. Pure.

A step is planned only where the room for it is there at this moment; what needs room that others still hold waits and
says for what. Planning again after the steps were done gives the next ones, until nothing differs; where spec and
hardware agree there is no step at all. Nothing that somebody uses and nothing that is not ours is ever planned away.
Claims do not occur here: a slice that exists is kept, whoever claims it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mig.occupancy import Placed, first_fault, fits_beside
from mig.placements import GpuShape
from nodeagent.values import Instance


@dataclass(frozen=True, slots=True)
class View:
    """All that a plan depends on. `owned`, `used` and `spared` are GI ids of `instances`.

    `spared` stay though they are not wanted, as long as nothing that is wanted needs their room.
    """

    shape: GpuShape
    wanted: tuple[Placed, ...]
    instances: tuple[Instance, ...]
    owned: frozenset[int] = frozenset()
    used: frozenset[int] = frozenset()
    spared: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps by kind. `waiting` says for each wanted slice that cannot be made yet what is in its way.

    `kept` are the GI ids of the spared ones that stay. With a `fault` the spec cannot exist on such a GPU; then there is no
    step, and the hardware stays as it is.
    """

    create: tuple[Placed, ...] = ()
    complete: tuple[Instance, ...] = ()
    remove: tuple[Instance, ...] = ()
    waiting: Mapping[Placed, str] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    fault: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do on the hardware now."""
        return not (self.create or self.complete or self.remove)


def plan(view: View) -> Plan:
    """The steps that lead from `view.instances` towards `view.wanted`."""
    fault = first_fault(view.shape, view.wanted)
    if fault is not None:
        return Plan(fault=fault)
    wanted = frozenset(view.wanted)
    ours = [item for item in view.instances if item.gi in view.owned]
    kept = frozenset(item.gi for item in ours if item.gi in view.spared and _may_stay(item, view))
    existing = frozenset(item.placed for item in ours)
    standing = [item.placed for item in view.instances]
    create: list[Placed] = []
    waiting: dict[Placed, str] = {}
    for item in sorted(wanted - existing):
        if fits_beside(view.shape.by_profile[item.profile], item.window.start, standing):
            create.append(item)
            standing.append(item)
        else:
            waiting[item] = _in_the_way(item, view)
    return Plan(
        create=tuple(create),
        complete=tuple(item for item in ours if item.half_made and item.placed in wanted),
        remove=tuple(item for item in ours if item.placed not in wanted and item.gi not in view.used | kept),
        waiting=waiting,
        kept=kept,
    )


def _may_stay(item: Instance, view: View) -> bool:
    """Whether a slice that the spec does not list is worth keeping, and in nobody's way."""
    if item.half_made or item.placed in view.wanted:
        return False
    return fits_beside(view.shape.by_profile[item.placed.profile], item.placed.window.start, view.wanted)


def _in_the_way(item: Placed, view: View) -> str:
    """Who holds the room that a wanted slice needs, in words for the user."""
    offer = view.shape.by_profile[item.profile]
    blockers = [
        other for other in view.instances if not fits_beside(offer, item.window.start, (other.placed,))
    ] or view.instances  # no single one is: together they hold all instances of this profile that a GPU can have
    return "waits for the room of " + ", ".join(_described(other, view) for other in blockers)


def _described(item: Instance, view: View) -> str:
    place = f"{item.placed.profile} at {item.placed.window.start}"
    if item.gi not in view.owned:
        return f"{place}, which is not ours and is left alone"
    return f"{place}, which is in use" if item.gi in view.used else f"{place}, which is being taken away"


def blocked_for_good(item: Placed, view: View) -> bool:
    """Whether foreign instances alone keep a wanted slice from being made, so that no waiting of ours helps."""
    foreign = _foreign(view.instances, view.owned)
    return not fits_beside(view.shape.by_profile[item.profile], item.window.start, foreign)


def _foreign(instances: Iterable[Instance], owned: frozenset[int]) -> tuple[Placed, ...]:
    return tuple(item.placed for item in instances if item.gi not in owned)
