"""What is simulated on: nodes with their GPUs and what lies there, described or as a live cluster has them.

A what-if asks the nodes themselves; a replay sees `Hardware`, the GPUs of all nodes in a row. Slices that lie there at the
beginning are held: a replay does not know when they end, so they never do. Nothing here reads a file or asks anybody.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from allocator.placement.fit import misfit
from allocator.placement.fleet import GpuView, NodeFacts, NodeView, Resources, Toleration, Wish
from allocator.placement.mix import Mix
from mig.geometries import ANYTHING, Geometries
from mig.names import PARTITIONING_LABEL, PARTITIONING_MIG
from mig.occupancy import Placed, occupied
from mig.placements import GpuShape
from simulate.cards import Card

PLENTY: Final = Resources(milli_cpu=10**12, memory=10**18, pods=10**9)
"""A described node that says nothing of CPU, memory or Pods never lacks them."""

UNLEARNED: Final = Mix()

_ANYBODY: Final = Wish(
    uid="", namespace="", name="", needs=(), requests=Resources(), tolerations=(Toleration("", "Exists", "", ""),)
)
"""A Pod that asks its node for nothing: a replay knows no more of its Pods than a profile."""


class SceneError(ValueError):
    """A fleet that cannot be simulated on; the message says where and what to write instead."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Nodes, and what their allocator would know: geometries in force, the demand that it learned, who waits already, in order."""

    nodes: tuple[NodeView, ...]
    geometries: Geometries = ANYTHING
    mix: Mix = UNLEARNED
    waiting: tuple[Wish, ...] = ()
    notes: tuple[str, ...] = ()
    """What the reader of a result must know of how the scene came about."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """GPUs in a row, node after node: `rows` is what each is called, `held` what lies there for good.

    `per_node` is how many GPUs a policy that goes by node takes for one node.
    """

    shapes: tuple[GpuShape, ...]
    rows: tuple[str, ...]
    held: tuple[tuple[Placed, ...], ...]
    per_node: int
    notes: tuple[str, ...] = ()

    @property
    def slices(self) -> int:
        """The memory slices that can be given: all of them but the held ones."""
        return sum(shape.width for shape in self.shapes) - self.held_slices

    @property
    def held_slices(self) -> int:
        """The memory slices that are held."""
        return sum(occupied(placed).bit_count() for placed in self.held)


def plain_node(
    name: str, gpus: Iterable[GpuView], *, room: Resources = PLENTY, labels: dict[str, str] | None = None
) -> NodeView:
    """A node that is handed over and well."""
    facts = NodeFacts(
        name=name,
        uid=name,
        labels={"kubernetes.io/hostname": name, **(labels or {}), PARTITIONING_LABEL: PARTITIONING_MIG},
        taints=(),
        ready=True,
        cordoned=False,
        allocatable=room,
    )
    return NodeView(facts=facts, free=room, gpus=tuple(gpus))


def gpu_of(card: Card, *, uuid: str, fixed: Sequence[Placed] = ()) -> GpuView:
    """A GPU of a model."""
    return GpuView(uuid=uuid, model=card.model, shape=card.shape, fixed=tuple(fixed))


def plain_scene(cards: Sequence[Card], *, gpus: int, per_node: int) -> Scene:
    """So many GPUs, `per_node` a node, the last node with the rest; models go to the nodes in turn."""
    nodes = []
    for place, first in enumerate(range(0, gpus, per_node)):
        count = min(per_node, gpus - first)
        card = cards[place % len(cards)]
        nodes.append(plain_node(f"node-{place}", (gpu_of(card, uuid=f"node-{place}/{gpu}") for gpu in range(count))))
    return Scene(tuple(nodes), notes=tuple(assumptions(cards)))


def assumptions(cards: Iterable[Card]) -> Iterator[str]:
    """What has to be said of models whose layout nobody published."""
    for card in dict.fromkeys(cards):
        if card.assumed:
            yield f"where slices can lie on {card.model} is an assumption; nobody has published it"


def hardware(scene: Scene, *, empty: bool = False) -> Hardware:
    """The GPUs of the nodes that would take a Pod now; `empty` forgets what lies on them.

    Raises `SceneError` where no GPU is left.
    """
    notes: list[str] = []
    misfits = {node.name: misfit(_ANYBODY, node) for node in scene.nodes}
    for reason, count in sorted(Counter(filter(None, misfits.values())).items()):
        notes.append(f"left out: {count} {'node' if count == 1 else 'nodes'} {reason}")
    nodes = [node for node in scene.nodes if misfits[node.name] is None]
    ill = [gpu for node in nodes for gpu in node.gpus if gpu.trouble]
    if ill:
        notes.append(f"left out: {len(ill)} GPUs in trouble, {ill[0].uuid} for one ({ill[0].trouble})")
    found = [
        (f"{node.name}/{place}", gpu)
        for node in nodes
        for place, gpu in enumerate(node.gpus)
        if not gpu.trouble and gpu.shape.offers
    ]
    if not found:
        raise SceneError(f"no GPU is left to simulate on: {'; '.join(notes) or 'no node has a MIG-enabled GPU'}")
    if any(scene.geometries.for_model(gpu.model) is not None for _, gpu in found):
        notes.append("a replay allows all that drivers offer; --what-if goes by the geometries in force")
    per_node, uneven = _per_node(Counter(row.rpartition("/")[0] for row, _ in found))
    return Hardware(
        shapes=tuple(gpu.shape for _, gpu in found),
        rows=tuple(row for row, _ in found),
        held=tuple(() if empty else gpu.fixed for _, gpu in found),
        per_node=per_node,
        notes=(*notes, *uneven),
    )


def _per_node(sizes: Counter[str]) -> tuple[int, list[str]]:
    """How many GPUs most nodes have; the last node may have fewer."""
    counts = list(sizes.values())
    (common, _), *_ = Counter(counts).most_common(1)
    if all(count == common for count in counts[:-1]) and counts[-1] <= common:
        return common, []
    return common, [f"nodes differ in size: policies that go by node take every {common} GPUs in a row for one"]
