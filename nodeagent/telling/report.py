"""The agent's report: everything that is known, put into the words of MigSpec's status. Pure.

Each slice of the spec is judged at the generation that the report names, and every slice that is found beside. A report
never makes a slice vanish without a word, and each condition that is not as it should be says what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mig.migspec import (
    Condition,
    Holder,
    MigMode,
    SliceState,
    Spec,
    SpecGpu,
    Status,
    StatusGpu,
    StatusSlice,
)
from mig.occupancy import Placed
from nodeagent.trouble import SILENT, Trouble
from nodeagent.use.usage import Source, Use
from nodeagent.values import Gpu, Instance

CONVERGED: Final = "Converged"
HEALTHY: Final = "Healthy"

UNAVAILABLE: Final = frozenset({"DriverUnavailable", "GpuUnavailable"})
"""Troubles under which no container could start on a slice. A driver that is merely silent may just be slow."""

UNPLACEABLE: Final = UNAVAILABLE | {SILENT}
"""Troubles of a GPU under which nothing new should be placed there. A spec that is wrong is the allocator's own to mend."""

LEAVING: Final = "goes when the Node shows the lower count, every bound Pod has its device and nobody took it meanwhile"

_MESSAGE_LIMIT: Final = 3000
"""Characters of one message; the schema allows more, and nobody reads more."""

_SHOWN: Final = 8
"""How many slices a condition's message names."""


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """All that is known of one GPU. `owned`, `blocked` and the keys of `uses` name instances by GI id.

    `ready` are those that a Pod can be bound to now; `blocked` those that the driver does not let go of, and why;
    `failed` are wanted slices that could not be made, `waiting` those that cannot yet; `kept` stay though no spec lists them,
    and `remarks` say what there is to say of foreign ones, `remark` of a GPU that cannot be used though nothing is broken.
    """

    gpu: Gpu
    instances: tuple[Instance, ...] = ()
    owned: frozenset[int] = frozenset()
    ready: frozenset[int] = frozenset()
    uses: Mapping[int, Use] = field(default_factory=dict)
    blocked: Mapping[int, str] = field(default_factory=dict)
    failed: Mapping[Placed, str] = field(default_factory=dict)
    waiting: Mapping[Placed, str] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    remarks: Mapping[int, str] = field(default_factory=dict)
    remark: str = ""
    vanished: Mapping[Placed, str] = field(default_factory=dict)
    unoffered: str = "exists; the kubelet does not offer it yet"
    uninvited: frozenset[str] = frozenset()
    """Uids of Pods that came round the admission webhook."""
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report is made of. `troubles` are those of the whole node, the most serious first.

    A `warning` is what an admin should know although everything works.
    """

    spec: Spec
    generation: int
    boot_id: str
    driver_version: str
    gpus: tuple[GpuFacts, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    warning: str = ""


def status_of(facts: Facts, *, before: Sequence[Condition], now: str) -> Status:
    """The report. `before` are the conditions of the last one, whose times stay where nothing changed; `now` is RFC 3339."""
    gpus = tuple(_gpu(item, facts.spec.gpu(item.gpu.uuid)) for item in sorted(facts.gpus, key=lambda i: i.gpu.index))
    conditions = (_converged(gpus, facts), _healthy(facts))
    return Status(
        observed_generation=facts.generation,
        boot_id=facts.boot_id,
        driver_version=facts.driver_version,
        gpus=gpus,
        conditions=tuple(_timed(condition, before, now) for condition in conditions),
    )


def unhealthy(last: Status, trouble: Trouble, *, now: str) -> Status:
    """The last report with nothing new in it but that we are not healthy: for as long as the hardware has not been read."""
    healthy = Condition(HEALTHY, "False", trouble.reason, trouble.message[:_MESSAGE_LIMIT], last.observed_generation)
    others = tuple(item for item in last.conditions if item.type != HEALTHY)
    return replace(last, conditions=(*others, _timed(healthy, last.conditions, now)))


def _gpu(facts: GpuFacts, wanted: SpecGpu | None) -> StatusGpu:
    gpu = facts.gpu
    places = frozenset(item.placed for item in wanted.slices) if wanted else frozenset[Placed]()
    existing = frozenset(item.placed for item in facts.instances if item.gi in facts.owned)
    slices = [
        _existing(item, facts, wanted=wanted is None or item.placed in places or item.gi in facts.kept)
        for item in facts.instances
    ]
    slices += [_missing(item, facts) for item in sorted(places - existing)]
    return StatusGpu(
        uuid=gpu.uuid,
        index=gpu.index,
        model=gpu.model,
        mig_mode=gpu.mig_mode,
        grid_width=gpu.shape.width,
        profiles=gpu.shape.offers,
        slices=tuple(slices),
        trouble=_unplaceable(facts)[:_MESSAGE_LIMIT],
    )


def _unplaceable(facts: GpuFacts) -> str:
    placeable = facts.trouble is None or facts.trouble.reason not in UNPLACEABLE
    return facts.remark if placeable or facts.trouble is None else facts.trouble.message


def _existing(item: Instance, facts: GpuFacts, *, wanted: bool) -> StatusSlice:
    use = facts.uses.get(item.gi)
    state, message = _state(item, facts, wanted=wanted)
    return StatusSlice(
        window=item.placed.window,
        profile=item.placed.profile,
        state=state,
        uuid=item.uuid,
        owned=item.gi in facts.owned,
        holder=_holder(use),
        message=_joined(message, facts.vanished.get(item.placed))[:_MESSAGE_LIMIT],
    )


def _joined(*parts: str | None) -> str:
    return "; ".join(part for part in parts if part)


def _state(item: Instance, facts: GpuFacts, *, wanted: bool) -> tuple[SliceState, str]:
    if item.gi not in facts.owned:
        return SliceState.FOREIGN, facts.remarks.get(item.gi) or "not made by this agent; it is left alone"
    use = facts.uses.get(item.gi)
    if use is not None:
        return SliceState.USED, _why_used(use, wanted=wanted, uninvited=facts.uninvited)
    if not wanted:
        blocked = facts.blocked.get(item.gi)
        return (SliceState.RELEASE_BLOCKED, blocked) if blocked else (SliceState.DELETING, LEAVING)
    if facts.trouble and facts.trouble.reason in UNAVAILABLE:
        return SliceState.FAILED, facts.trouble.message
    if item.gi in facts.ready:
        return SliceState.FREE, ""
    return SliceState.CREATING, facts.failed.get(item.placed) or facts.unoffered


def _why_used(use: Use, *, wanted: bool, uninvited: frozenset[str]) -> str:
    if use.source is Source.PROCESS:
        pids = ", ".join(str(pid) for pid in use.pids[:_SHOWN])
        who = "its Pod is gone, but" if use.holder else "no Pod holds it, but"
        return f"{who} processes {pids} still compute there; end them to free the slice"
    if use.holder is None:
        return "handed out; which Pod has it is not known yet"
    if use.holder.uid in uninvited:
        return "its Pod came round the admission webhook and took it without a reservation"
    return "" if wanted else "not wanted any more; it goes when its Pod ends"


def _missing(item: Placed, facts: GpuFacts) -> StatusSlice:
    trouble = facts.trouble.message if facts.trouble else ""
    passing = facts.trouble is not None and facts.trouble.reason == SILENT
    failed = facts.failed.get(item) or ("" if passing else trouble)
    state = SliceState.FAILED if failed else SliceState.CREATING
    message = _joined(failed or trouble or facts.waiting.get(item), facts.vanished.get(item))
    return StatusSlice(item.window, item.profile, state, message=message[:_MESSAGE_LIMIT])


def _holder(use: Use | None) -> Holder | None:
    return use.holder if use else None


def _converged(gpus: Iterable[StatusGpu], facts: Facts) -> Condition:
    shown: dict[SliceState, list[str]] = {}
    kept = {each.gpu.uuid: {item.placed for item in each.instances if item.gi in each.kept} for each in facts.gpus}
    for gpu in gpus:
        named = facts.spec.gpu(gpu.uuid)
        wanted = {item.placed for item in named.slices} if named else set()
        wanted |= kept.get(gpu.uuid, frozenset())
        for item in gpu.slices:
            stuck = item.state is SliceState.USED and named is not None and item.placed not in wanted
            state = SliceState.RELEASE_BLOCKED if stuck else item.state
            shown.setdefault(state, []).append(
                f"{item.profile} at {item.window.start} of GPU {gpu.index}"
                + (f" ({item.message})" if item.message else "")
            )
    for state, reason, verb in (
        (SliceState.FAILED, "Failed", "could not be made"),
        (SliceState.RELEASE_BLOCKED, "Blocked", "cannot go yet"),
        (SliceState.CREATING, "Converging", "being made"),
        (SliceState.DELETING, "Converging", "being taken away"),
    ):
        if items := shown.get(state):
            return _condition(CONVERGED, "False", reason, f"{verb}: {_listed(items)}", facts.generation)
    absent = [gpu.uuid for gpu in facts.spec.gpus if gpu.slices and not any(i.gpu.uuid == gpu.uuid for i in facts.gpus)]
    if absent:
        return _condition(CONVERGED, "False", "Failed", f"no such GPU here: {_listed(absent)}", facts.generation)
    return _condition(CONVERGED, "True", "Converged", "every slice of the spec exists and is offered", facts.generation)


def _healthy(facts: Facts) -> Condition:
    found = [*facts.troubles, *(item.trouble for item in facts.gpus if item.trouble), *_off(facts)]
    troubles = list(dict.fromkeys(found))
    warning = f"; {facts.warning}" if facts.warning else ""
    if not troubles:
        return _condition(HEALTHY, "True", "Healthy", f"driver, GPUs and kubelet answer{warning}", facts.generation)
    message = "; ".join(trouble.message for trouble in troubles) + warning
    return _condition(HEALTHY, "False", troubles[0].reason, message, facts.generation)


def _off(facts: Facts) -> list[Trouble]:
    """GPUs whose MIG mode waits for a reset, and those of the spec that cannot hold what it asks since MIG is off."""
    troubles = []
    for item in facts.gpus:
        named = facts.spec.gpu(item.gpu.uuid)
        where = f"GPU {item.gpu.index} ({item.gpu.uuid})"
        if item.gpu.mig_mode is MigMode.PENDING_RESET:
            text = (
                f"{where}: its MIG mode changes with the next reset: nvidia-smi --gpu-reset -i {item.gpu.index} while no "
                "process has it open, this agent included (hand the node back meanwhile), or reboot the node"
            )
        elif item.gpu.mig_mode is not MigMode.ENABLED and named and named.slices:
            text = f"{where}: MIG is off; turn it on with nvidia-smi -i {item.gpu.index} -mig 1"
        else:
            continue
        troubles.append(Trouble("GpuUnavailable", text))
    return troubles


def _condition(kind: str, status: str, reason: str, message: str, generation: int) -> Condition:
    return Condition(kind, status, reason, message[:_MESSAGE_LIMIT], generation)


def _timed(condition: Condition, before: Sequence[Condition], now: str) -> Condition:
    """With the time of the last change of its status, as Kubernetes counts it."""
    old = next((item for item in before if item.type == condition.type), None)
    same = old is not None and old.status == condition.status and old.last_transition_time
    return replace(condition, last_transition_time=old.last_transition_time if old and same else now)


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
