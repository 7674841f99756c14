"""Which foreign slices an admin tells us to take over, by an annotation of the Node. Pure.

The value is `all`, or a list of UUIDs of GPUs and MIG devices, separated by commas. A slice that was taken over is ours like
one that we made, and stays so when the annotation goes. Only whole instances can be handed out, so only those, and those
without any compute instance, are taken; a word that nobody understands adopts nothing and is said.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mig.names import ADOPT_ANNOTATION
from mig.occupancy import Placed
from nodeagent.values import Gpu, Instance

_ALL: Final = "all"
_KINDS: Final = ("GPU-", "MIG-")

_CUT: Final = (
    "it is cut into other compute instances than the one that fills it, which cannot be handed to a Pod: it is left alone; "
    "destroy those, fill it with one, and it is taken over"
)
_NO_CI: Final = (
    "it holds no compute instance, and somebody may be about to make one: it is left alone; "
    "it is taken over once one fills it"
)


@dataclass(frozen=True, slots=True)
class Adoption:
    """What the annotation asks for. `unknown` are the words of it that mean nothing."""

    everything: bool = False
    uuids: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    def asks_for(self, instance: Instance) -> bool:
        """Whether this instance is to be taken over, by its own UUID or by its GPU's."""
        return self.everything or instance.gpu in self.uuids or bool(instance.uuid and instance.uuid in self.uuids)


NOTHING: Final = Adoption()


def adoption_from_annotation(value: str) -> Adoption:
    """Read the annotation's value; an empty one, or none, asks for nothing."""
    words = [word for word in (part.strip() for part in value.split(",")) if word]
    return Adoption(
        everything=_ALL in words,
        uuids=frozenset(word for word in words if word.startswith(_KINDS)),
        unknown=tuple(dict.fromkeys(word for word in words if word != _ALL and not word.startswith(_KINDS))),
    )


def to_adopt(
    adoption: Adoption, instances: Iterable[Instance], owned: frozenset[int], wanted: Collection[Placed]
) -> tuple[Instance, ...]:
    """The foreign instances to take over now.

    `owned` are the GI ids of those that are ours already, `wanted` the places in which the spec wants slices: a half-made
    instance is taken only there.
    """
    return tuple(
        item
        for item in instances
        if item.gi not in owned
        and adoption.asks_for(item)
        and (item.uuid or (item.half_made and item.placed in wanted))
    )


def unadoptable(adoption: Adoption, instances: Iterable[Instance], owned: frozenset[int]) -> Mapping[int, str]:
    """GI id → why a foreign instance that the annotation asks for stays foreign."""
    return {
        item.gi: f"{ADOPT_ANNOTATION} asks for it, but {_NO_CI if item.half_made else _CUT}"
        for item in instances
        if item.gi not in owned and not item.uuid and adoption.asks_for(item)
    }


def misunderstandings(adoption: Adoption, gpus: Sequence[tuple[Gpu, Sequence[Instance]]]) -> tuple[str, ...]:
    """What an admin should know of his annotation, a sentence each: words without meaning, UUIDs of nothing on this node."""
    here = {gpu.uuid for gpu, _ in gpus} | {item.uuid for _, instances in gpus for item in instances}
    strangers = sorted(adoption.uuids - here)
    said = []
    if adoption.unknown:
        words = ", ".join(repr(word) for word in adoption.unknown)
        said.append(f"{ADOPT_ANNOTATION}: {words} adopts nothing; write all, or UUIDs that nvidia-smi -L shows")
    if strangers:
        said.append(f"{ADOPT_ANNOTATION}: no such GPU or MIG device here: {', '.join(strangers)}")
    return tuple(said)
