"""The desk on which one round is worked out: specs as they are to be, what each Pod's outcome is, what to remember.

The steps of a round get one desk and change it; the view beneath stays as it was. One rule is kept here for all of them: a Pod
that lost a claim in this round gets no other before the next. A claim on one node is thereby given up *in the API server* before
another is made on a second one, in whatever order the writes of a round arrive.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from allocator.decisions import Memory, Outcome, PodWrite
from allocator.placement.fleet import Reason
from allocator.pods import MigPod
from allocator.view import Slots, Spot, Tracked, View
from mig.demand import Need, claim_for
from mig.migspec import Claim, Spec, SpecGpu, SpecSlice
from mig.names import PARTITIONING_LABEL, PARTITIONING_MIG
from mig.occupancy import Placed

_Node = dict[str, dict[Placed, Claim | None]]


@dataclass
class Notes:
    """A `Memory` in work."""

    first_seen: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    released: dict[str, float] = field(default_factory=dict)
    nominated: dict[str, float] = field(default_factory=dict)
    shunned: dict[tuple[str, str], float] = field(default_factory=dict)
    avoided: dict[tuple[str, str, int], float] = field(default_factory=dict)
    overdue: dict[tuple[str, int], float] = field(default_factory=dict)
    leaving: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, memory: Memory, *, view: View, now: float) -> "Notes":
        """A copy without what has expired, and without Pods that are gone or bound."""
        waits = {uid for uid, pod in view.pods.items() if not pod.node}

        def kept(times: "dict[str, float]") -> dict[str, float]:
            return {uid: time for uid, time in times.items() if uid in waits}

        return cls(
            first_seen={uid: memory.first_seen.get(uid, now) for uid in waits},
            written=kept(dict(memory.written)),
            released=kept(dict(memory.released)),
            nominated=kept(dict(memory.nominated)),
            shunned={key: until for key, until in memory.shunned.items() if until > now and key[0] in waits},
            avoided={key: until for key, until in memory.avoided.items() if until > now},
            overdue={
                (name, tracked.judged): memory.overdue.get((name, tracked.judged), now)
                for name, tracked in view.specs.items()
                if tracked.judged < tracked.migspec.generation
            },
            leaving={
                name: memory.leaving.get(name, now) for name, tracked in view.specs.items() if tracked.agent_leaves
            },
        )

    def memory(self) -> Memory:
        """For the next round."""
        return Memory(
            first_seen=self.first_seen,
            written=self.written,
            released=self.released,
            nominated=self.nominated,
            shunned=self.shunned,
            avoided=self.avoided,
            overdue=self.overdue,
            leaving=self.leaving,
        )


class Desk:
    """The working state of one round."""

    def __init__(self, view: View, *, now: float, memory: Memory) -> None:
        self.view = view
        self.now = now
        self.notes = Notes.of(memory, view=view, now=now)
        self.outcomes: dict[str, Outcome] = {}
        self.pod_writes: list[PodWrite] = []
        self.left: set[str] = set()
        """Uids of Pods that lost a claim in this round."""
        self.placed: dict[str, str] = {}
        """Uid → node of Pods that got their slices in this round."""
        self._changed: dict[str, _Node] = {}
        self._spots: dict[str, dict[tuple[str, str, Placed], Spot]] = {}
        for tracked in view.specs.values():
            for spot in tracked.spots:
                self._spots.setdefault(spot.claim.uid, {})[spot.node, spot.gpu, spot.placed] = spot

    # Reading

    def spots(self, uid: str) -> list[Spot]:
        """The slices that a Pod claims, as the specs are to be."""
        return list(self._spots.get(uid, {}).values())

    def claimants(self) -> list[str]:
        """The uids in all claims."""
        return [uid for uid, spots in self._spots.items() if spots]

    def slots(self, node: str) -> Slots:
        """A node's spec as it is to be."""
        return self._changed.get(node) or self.view.specs[node].slots

    def is_changed(self, node: str) -> bool:
        """Whether the round has touched the node's spec."""
        return node in self._changed

    def is_as_stored(self, node: str, gpu: str, placed: Placed) -> bool:
        """Whether the slice is in the stored spec, and the round has not touched its claim."""
        stored = self.view.specs[node].slots.get(gpu, {})
        now = self.slots(node).get(gpu, {})
        return placed in stored and placed in now and stored[placed] == now[placed]

    def slice_list(self, node: str) -> Iterator[tuple[str, Placed, Claim | None]]:
        """Every slice of a node's spec with its GPU and claim; a copy, so that the caller may change the spec."""
        for gpu, slices in list(self.slots(node).items()):
            for placed, claim in list(slices.items()):
                yield gpu, placed, claim

    def unmet(self, pod: MigPod) -> list[Need]:
        """The needs of a Pod for which it claims no slice."""
        claimed = {spot.claim.container for spot in self.spots(pod.uid)}
        return [need for need in pod.needs if need.container not in claimed]

    def is_ours(self, node: str) -> bool:
        """Whether decisions may be taken on the node: it is there, its MigSpec is owned by it and carries our epoch."""
        tracked = self.view.specs.get(node)
        facts = self.view.nodes.get(node)
        return (
            tracked is not None
            and facts is not None
            and tracked.migspec.spec.leader_epoch == self.view.epoch
            and owned_by(tracked, facts.uid)
        )

    def is_handed_over(self, node: str) -> bool:
        """Whether the admin gives us the node now."""
        facts = self.view.nodes.get(node)
        return facts is not None and facts.labels.get(PARTITIONING_LABEL) == PARTITIONING_MIG

    # Changing

    def name_gpu(self, node: str, gpu: str) -> None:
        """Begin to say what the GPU shall hold."""
        self._own(node).setdefault(gpu, {})

    def drop_gpu(self, node: str, gpu: str) -> None:
        """Say no more what the GPU shall hold."""
        for placed in list(self.slots(node).get(gpu, {})):
            self.unclaim(node, gpu, placed)
        self._own(node).pop(gpu, None)

    def add(self, node: str, gpu: str, placed: Placed) -> None:
        """Want one more slice, warm."""
        self._own(node)[gpu].setdefault(placed, None)

    def remove(self, node: str, gpu: str, placed: Placed) -> None:
        """Want a slice no more; its claim, if any, goes with it."""
        self.unclaim(node, gpu, placed)
        self._own(node)[gpu].pop(placed, None)

    def claim(self, node: str, gpu: str, placed: Placed, pod: MigPod, need: Need) -> None:
        """Reserve a slice that the spec holds for one need of a Pod; whoever had it loses it."""
        wish = pod.wish
        claim = claim_for(need, namespace=wish.namespace, pod=wish.name, uid=wish.uid)
        self.unclaim(node, gpu, placed)
        self._own(node)[gpu][placed] = claim
        self._spots.setdefault(wish.uid, {})[node, gpu, placed] = Spot(node, gpu, placed, claim)

    def unclaim(self, node: str, gpu: str, placed: Placed) -> None:
        """Let the slice be warm."""
        claim = self.slots(node).get(gpu, {}).get(placed)
        if claim is not None:
            self._own(node)[gpu][placed] = None
            del self._spots[claim.uid][node, gpu, placed]

    def give_up(self, uid: str, *, node: str | None = None) -> None:
        """Take from a Pod all that it claims (on one node); it gets nothing else in this round."""
        for spot in self.spots(uid):
            if node in (None, spot.node):
                self.unclaim(spot.node, spot.gpu, spot.placed)
                self.left.add(uid)

    def says(self, pod: MigPod, reason: Reason, message: str) -> None:
        """Note how it stands with a Pod; the first word of a round counts."""
        self.outcomes.setdefault(pod.uid, Outcome(reason, message))

    def _own(self, node: str) -> _Node:
        if node not in self._changed:
            self._changed[node] = {gpu: dict(slices) for gpu, slices in self.view.specs[node].slots.items()}
        return self._changed[node]

    # Results

    def changed_specs(self) -> Iterator[tuple[Tracked, Spec]]:
        """The specs that differ from what is stored, on nodes that are ours."""
        for name, gpus in self._changed.items():
            tracked = self.view.specs[name]
            if self.is_ours(name) and gpus != tracked.slots:
                yield tracked, Spec(self.view.epoch, tuple(_spec_gpu(uuid, slices) for uuid, slices in gpus.items()))


def owned_by(tracked: Tracked, node_uid: str) -> bool:
    """Whether a MigSpec belongs to that very Node; one that somebody made by hand, without an owner, does."""
    return tracked.stored.owner_uid in ("", node_uid)


def _spec_gpu(uuid: str, slices: dict[Placed, Claim | None]) -> SpecGpu:
    return SpecGpu(
        uuid,
        tuple(
            SpecSlice(item.window, item.profile, claim)
            for item, claim in sorted(slices.items(), key=lambda entry: entry[0])
        ),
    )
