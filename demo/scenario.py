"""What the demo submits and what must come of it.

The Pods are values: a manifest and an expectation, made from what the fleet's GPUs offer, so that other models and sizes than
the default's work, too. The first one is the example of README, unchanged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from mig.placements import GpuShape, ProfileOffer

_FOREVER: Final = ["sleep", "infinity"]
_SHARE: Final = 0.75
"""Of the memory slices that the mix may take: a tighter one might not fit on every grid."""


class Expect(StrEnum):
    """What must become of a Pod."""

    RUNS = "runs"
    WAITS = "waits"
    REFUSED = "is refused"


@dataclass(frozen=True, slots=True)
class DemoPod:
    """A manifest and what must come of it."""

    manifest: dict[str, Any]
    expect: Expect

    @property
    def name(self) -> str:
        """The Pod's name."""
        return str(self.manifest["metadata"]["name"])


def seed(profile: str = "1g.10gb") -> DemoPod:
    """The Pod that stands in README."""
    return DemoPod(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "mig-partitioning-example"},
            "spec": {
                "containers": [
                    {
                        "name": "sleepy",
                        "image": "busybox:latest",
                        "command": ["sleep", "120"],
                        "resources": {"limits": {f"nvidia.com/mig-{profile}": 1}},
                    }
                ]
            },
        },
        Expect.RUNS,
    )


def mix(gpus: Sequence[Sequence[GpuShape]]) -> list[DemoPod]:
    """Twelve Pods of five profiles for these GPUs, by node: ten that run, one that is refused, one that waits (last)."""
    shape = gpus[0][0]
    like = [gpu for node in gpus for gpu in node if gpu.by_profile.keys() == shape.by_profile.keys()]
    sizes = Sizes.of(shape)
    wanted = [
        *((f"small-{n}", (sizes.small,)) for n in range(3)),
        *((f"pair-{n}", (sizes.small, sizes.medium)) for n in range(2)),
        ("double-0", (sizes.double,)),
        *((f"medium-{n}", (sizes.medium,)) for n in range(2)),
        *((f"large-{n}", (sizes.large,)) for n in range(2)),
    ]
    room = _SHARE * len(like) * shape.width - sizes.small.size
    running = []
    for name, offers in wanted:
        room -= sum(offer.size for offer in offers)
        if room >= 0:
            running.append(DemoPod(_manifest(name, offers), Expect.RUNS))
    greedy = DemoPod(_manifest("greedy", (sizes.small,), count=2), Expect.REFUSED)
    return [
        *running,
        greedy,
        _waiting(gpus, sizes, every_gpu_is_touched=len(running) == len(wanted) and len(like) == 4),
    ]


def _waiting(gpus: Sequence[Sequence[GpuShape]], sizes: "Sizes", *, every_gpu_is_touched: bool) -> DemoPod:
    """A whole GPU where the mix leaves none empty; else more whole GPUs in one Pod than any node has."""
    count = 1 if every_gpu_is_touched else max(len(node) for node in gpus) + 1
    return DemoPod(_manifest("whole", (sizes.whole,) * count), Expect.WAITS)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The profiles that the mix uses, as one shape offers them; what a shape lacks is served by the next smaller."""

    small: ProfileOffer
    double: ProfileOffer
    medium: ProfileOffer
    large: ProfileOffer
    whole: ProfileOffer

    @classmethod
    def of(cls, shape: GpuShape) -> "Sizes":
        """Pick by compute slices and memory, never by name."""
        plain = sorted(
            (offer for offer in shape.offers if not offer.profile.attributes),
            key=lambda offer: (offer.profile.slices, offer.size),
        )
        small = plain[0]
        double = _first((offer for offer in plain if offer.profile.slices == 1 and offer.size > small.size), small)
        medium = _first((offer for offer in plain if offer.profile.slices == 2), small)
        large = _first((offer for offer in plain if offer.profile.slices == 3), medium)
        return cls(small, double, medium, large, plain[-1])


def _first(offers: Iterable[ProfileOffer], otherwise: ProfileOffer) -> ProfileOffer:
    return next(iter(offers), otherwise)


def _manifest(name: str, offers: Sequence[ProfileOffer], *, count: int = 1) -> dict[str, Any]:
    names = (
        ["main", "helper"] if len(offers) == 2 else [f"c{n}" for n in range(len(offers))] if offers[1:] else ["main"]
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": container,
                    "image": "busybox:latest",
                    "command": _FOREVER,
                    "resources": {"limits": {offer.profile.resource: count}},
                }
                for container, offer in zip(names, offers, strict=True)
            ],
        },
    }
