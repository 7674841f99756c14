"""Why a Pod's slices go where they go, or go nowhere: the reason, the runner-up, and what was left out.

`weigh` is cheap enough for a log line a decision: two more look-ups, whatever the size of the fleet. `explain` also counts all
that there was to choose from, for a human who waits for the answer. Both ask the engine itself, as it stands, and leave it so;
what they say of a choice is never worked out by other rules than those that made it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from allocator.placement.engine import Engine
from allocator.placement.fleet import Wish
from allocator.placement.packing import Packer
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Criterion, Sought, Standing


@dataclass(frozen=True, slots=True)
class Rival:
    """A place that was not taken, and the first criterion by which the one that was stands before it."""

    standing: Standing
    decided_by: Criterion


@dataclass(frozen=True, slots=True)
class Decision:
    """The place that is taken, and the best of the others."""

    chosen: Standing
    elsewhere: Rival | None
    """On another GPU; for a Pod of several slices, on another node."""
    beside: Rival | None
    """Another start on the same GPU, for a Pod of one slice."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What there was to choose from."""

    nodes: int
    """Handed over and reported."""
    left_out: Mapping[str, int]
    """Why nodes cannot take the Pod, in words that follow "1 node", each with how many; in the order of the words."""
    ill: int
    """GPUs in trouble on the other nodes."""
    places: int | None
    """All there are for a Pod of one slice; the nodes on which several have room; None where that was not counted."""

    @property
    def fitting(self) -> int:
        """Nodes that take the Pod, its slices aside."""
        return self.nodes - sum(self.left_out.values())


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision, or one refusal, and what it was taken from."""

    wish: Wish
    answer: Decision | Refusal
    survey: Survey


def explain(engine: Engine, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Explanation:
    """What the engine would decide for a Pod now, and why."""
    found = engine.place(wish, shunned=shunned)
    answer = found if isinstance(found, Refusal) else weigh(engine, wish, found, shunned=shunned)
    return Explanation(wish, answer, survey(engine, wish, shunned=shunned))


def weigh(engine: Engine, wish: Wish, found: Placement, *, shunned: frozenset[str] = frozenset()) -> Decision:
    """What speaks for the place that the engine, as it stands, has found for a Pod."""
    sought = engine.sought(wish, shunned=shunned)
    chosen = sought.of(found)
    if len(wish.needs) > 1:
        other = engine.find(wish, shunned=shunned | {found.node})
        return Decision(chosen, _rival(sought, chosen, other), None)
    card = sought.racks[found.node].cards[found.choices[0].gpu]
    assert card.stock is not None
    beside = min((it for it in sought.on(card) if it.placement != found), key=lambda it: it.order, default=None)
    with card.stock.aside(card):
        other = engine.find(wish, shunned=shunned)
    return Decision(
        chosen,
        elsewhere=_rival(sought, chosen, other),
        beside=None if beside is None else Rival(beside, chosen.decides(beside)),
    )


def survey(engine: Engine, wish: Wish, *, shunned: frozenset[str] = frozenset()) -> Survey:
    """Count what there is for a Pod to choose from."""
    misfits = engine.misfits(wish, shunned=shunned)
    left_out = Counter(reason for reason in misfits.values() if reason is not None)
    fitting = [node for node in engine.views if misfits[node.name] is None]
    return Survey(
        nodes=len(misfits),
        left_out=dict(sorted(left_out.items())),
        ill=sum(bool(gpu.trouble) for node in fitting for gpu in node.gpus),
        places=_places(engine.sought(wish, shunned=shunned)),
    )


def rank(sought: Sought, standing: Standing) -> int:
    """Which of all places for a Pod of one slice one is, the best being the first."""
    mine = standing.order
    return 1 + sum(other.order < mine for card in sought.cards() for other in sought.on(card))


def _places(sought: Sought) -> int | None:
    profiles = [need.profile for need in sought.wish.needs]
    if len(profiles) == 1:
        return sought.count()
    if not Packer.can(profiles):
        return None
    packer = Packer(profiles, scales=sought.scales)
    return sum(
        packer.pack(list(rack.cards.values())) is not None for rack in sought.racks if sought.fits(rack.view.name)
    )


def _rival(sought: Sought, chosen: Standing, other: Placement | None) -> Rival | None:
    if other is None:
        return None
    standing = sought.of(other)
    if Packer.can([need.profile for need in sought.wish.needs]):
        return Rival(standing, chosen.decides(standing))
    # So many slices are not packed by value: the first node that has room takes them.
    return Rival(standing, Criterion.ROOM if chosen.room != standing.room else Criterion.NAMES)
