"""A node's way in and out: its MigSpec is made, its GPUs are taken on, and everything is given back when the label goes.

Handing over: MigSpec with no GPU named, agent label. When the agent has reported, each MIG-enabled GPU is named together with
every slice of ours that lies on it, so that naming it never takes anything away; one that is gone is named no more. Handing
back: free slices go, claims stay; when the report shows nothing of ours any more the MigSpec goes, then the agent label. What
has not been reported is not nothing.
"""

from dataclasses import dataclass, field
from typing import Final

from allocator.decisions import Create, LabelAgent, Remove
from allocator.desk import Desk, owned_by
from allocator.placement.fleet import NodeFacts
from allocator.view import Tracked
from mig.migspec import StatusGpu
from mig.names import AGENT_LABEL
from mig.occupancy import Placed

MAX_GPUS: Final = 16
"""As many as the CRD's cost limits let a MigSpec name."""


@dataclass
class NodeLife:
    """The decisions about nodes as a whole."""

    creates: list[Create] = field(default_factory=list)
    removes: list[Remove] = field(default_factory=list)
    labels: list[LabelAgent] = field(default_factory=list)


def live(desk: Desk) -> NodeLife:
    """Go through all nodes and MigSpecs; changes to specs go onto the desk."""
    life = NodeLife()
    for facts in desk.view.nodes.values():
        _node(desk, facts, life)
    for name, tracked in desk.view.specs.items():
        facts_now = desk.view.nodes.get(name)
        if facts_now is None or not owned_by(tracked, facts_now.uid):
            # The Node is gone, or another has its name; claims are rebuilt from the Pods that live on.
            life.removes.append(Remove(name, tracked.migspec.uid, None))
    return life


def _node(desk: Desk, facts: NodeFacts, life: NodeLife) -> None:
    name = facts.name
    tracked = desk.view.specs.get(name)
    exists = tracked is not None or name in desk.view.broken
    labelled = AGENT_LABEL in facts.labels
    if desk.is_handed_over(name):
        if facts.labels.get(AGENT_LABEL) != "true":
            life.labels.append(LabelAgent(name, present=True))
        if not exists:
            life.creates.append(Create(name, facts.uid))
    elif not exists and labelled:
        life.labels.append(LabelAgent(name, present=False))
    if tracked is not None and desk.is_ours(name):
        _take_on_gpus(desk, tracked)
        if not desk.is_handed_over(name):
            _give_back(desk, tracked, life)


def _take_on_gpus(desk: Desk, tracked: Tracked) -> None:
    name = tracked.migspec.name
    for uuid in _absent_gpus(tracked):
        desk.drop_gpu(name, uuid)
    for uuid, gpu in tracked.cut_gpus.items():
        slices = desk.slots(name)
        if uuid in slices or len(slices) >= MAX_GPUS:
            continue
        existing = _existing_slices(gpu)
        if existing or desk.is_handed_over(name):
            desk.name_gpu(name, uuid)
            for placed in existing:
                desk.add(name, uuid, placed)


def _absent_gpus(tracked: Tracked) -> tuple[str, ...]:
    """GPUs of the spec that an up-to-date report does not know, and nobody claims: swapped, or not to be found.

    Nothing is lost by not naming them: one that comes back is taken on again, with what lies on it.
    """
    status = tracked.migspec.status
    if status is None or not status.gpus or tracked.judged < tracked.migspec.generation:
        return ()
    claimed = {spot.gpu for spot in tracked.spots}
    return tuple(uuid for uuid in tracked.slots if uuid not in claimed and status.gpu(uuid) is None)


def _existing_slices(gpu: StatusGpu) -> tuple[Placed, ...]:
    """Ours that exist, whatever is to be said of them: a MIG device has a UUID."""
    return tuple(item.placed for item in gpu.slices if item.owned and item.uuid)


def _give_back(desk: Desk, tracked: Tracked, life: NodeLife) -> None:
    name = tracked.migspec.name
    for gpu, placed, claim in desk.slice_list(name):
        if claim is None and tracked.is_free(gpu, placed):
            desk.remove(name, gpu, placed)
    if not desk.is_changed(name) and _is_empty(tracked):
        life.removes.append(Remove(name, tracked.migspec.uid, tracked.migspec.resource_version))


def _is_empty(tracked: Tracked) -> bool:
    """Whether an up-to-date report of a healthy agent shows nothing of ours; a GPU that is gone holds nothing."""
    status = tracked.migspec.status
    if status is None or tracked.judged < tracked.migspec.generation or tracked.spots:
        return False
    healthy = status.condition("Healthy")
    if healthy is not None and healthy.status != "True":
        return False
    wanted = any(slices for uuid, slices in tracked.slots.items() if status.gpu(uuid) is not None)
    return not wanted and not any(item.owned for gpu in status.gpus for item in gpu.slices)
