"""HAMi's default for dynamic MIG: fixed templates in fixed order, the fullest node first, the emptiest GPU on it.

From the public sources of HAMi (`knownMigGeometries`, `nodeSchedulerPolicy: binpack`, `gpuSchedulerPolicy: spread`), as they were
before its rework that reads placements from the driver. An idle GPU is cut as a whole by the first template that has an instance
with the memory asked for: seven of one slice, three of two and one of one, two of three, one of seven, in this order. A GPU in use
keeps its template until its last instance is free, and gives the first free instance with memory enough, however large. So it
refuses what a new cut could serve. Its scores add cores and device counts to memory; we weigh memory alone, with which they go.

A request is an amount of memory. Accepted is who gets what it asks, so a Pod asks for as much as brings it the compute of its
profile, too: `1g.20gb` gets a `2g.20gb`, and `4g.40gb`, which has no template, a whole GPU. `HamiByMemory` is the same policy for
owners who are content with the memory: there 40 GB are a `3g.40gb`, with a quarter less compute than `4g.40gb` has, and counted.
"""

from collections.abc import Sequence
from functools import cache

from mig.occupancy import Placed
from mig.placements import GpuShape, ProfileOffer, Window
from mig.profiles import Profile
from simulate.placer import Spot

Template = tuple[Placed, ...]
"""The instances that a GPU is cut into, in the order in which they are handed out."""


class Hami:
    """The most used memory slices on the node, then the lowest node; the fewest on the GPU, then the lowest GPU."""

    def __init__(self, shapes: Sequence[GpuShape], *, per_node: int = 8) -> None:
        self._shapes = tuple(shapes)
        self._nodes = [range(first, min(first + per_node, len(shapes))) for first in range(0, len(shapes), per_node)]
        self._per_node = per_node
        self._cut: list[Template] = [()] * len(shapes)
        self._used: list[set[Placed]] = [set() for _ in shapes]
        self._refuses: list[set[Profile]] = [set() for _ in shapes]  # what a GPU has no instance for, until it changes
        self._on_gpu = [0] * len(shapes)
        self._on_node = [0] * len(self._nodes)

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:  # noqa: ARG002 - no clock
        """Take an instance that is large enough, or None where no template in force and none to come has one."""
        for node in sorted(range(len(self._nodes)), key=lambda node: -self._on_node[node]):
            willing = [gpu for gpu in self._nodes[node] if profile not in self._refuses[gpu]]
            for gpu in sorted(willing, key=lambda gpu: self._on_gpu[gpu]):
                instance = self._instance(gpu, profile)
                if instance is not None:
                    self._used[gpu].add(instance)
                    self._book(gpu, instance, +1)
                    return Spot(gpu, instance)
                self._refuses[gpu].add(profile)
        return None

    def _instance(self, gpu: int, profile: Profile) -> Placed | None:
        memory_gb = self._memory_to_ask(self._shapes[gpu], profile)
        if memory_gb is None:
            return None
        if not self._used[gpu]:
            self._cut[gpu] = first_template(self._shapes[gpu], memory_gb)
        for instance in self._cut[gpu]:
            if instance.profile.memory_gb >= memory_gb and instance not in self._used[gpu]:
                return instance
        return None

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - no clock
        """An instance is free; the last one of a GPU sets it idle."""
        self._used[spot.gpu].remove(spot.placed)
        self._book(spot.gpu, spot.placed, -1)

    def _memory_to_ask(self, shape: GpuShape, profile: Profile) -> int | None:
        return memory_to_ask(shape, profile)

    def _book(self, gpu: int, instance: Placed, sign: int) -> None:
        self._refuses[gpu].clear()
        self._on_gpu[gpu] += sign * instance.window.size
        self._on_node[gpu // self._per_node] += sign * instance.window.size


class HamiByMemory(Hami):
    """The same for owners who ask for their profile's memory and take the compute that comes with it."""

    def _memory_to_ask(self, shape: GpuShape, profile: Profile) -> int | None:  # noqa: ARG002 - the same on every GPU
        return profile.memory_gb


@cache
def memory_to_ask(shape: GpuShape, profile: Profile) -> int | None:
    """The GB to ask for, so that any instance with as much has the profile's compute and memory; None where none has."""
    made = {instance.profile for template in templates(shape) for instance in template}
    return min(
        (each.memory_gb for each in made if each.slices >= profile.slices and each.memory_gb >= profile.memory_gb),
        default=None,
    )


@cache
def first_template(shape: GpuShape, memory_gb: int) -> Template:
    """The template by which an idle GPU is cut for a request; empty where none has an instance that large."""
    for template in templates(shape):
        if any(instance.profile.memory_gb >= memory_gb for instance in template):
            return template
    return ()


@cache
def templates(shape: GpuShape) -> tuple[Template, ...]:
    """The shipped templates by their rule: one a profile, smallest first, as many as fit, the rest filled with smaller ones.

    Of the profiles with equal slices, and then of those with equal memory, only the one of which most fit has a template: on a
    card of 80 GB that leaves `1g.20gb` and `4g.40gb` out, as the shipped list does.
    """
    plain = [offer for offer in shape.offers if not offer.profile.attributes]
    kept = _most_instances(_most_instances(plain, by="slices"), by="memory_gb")
    return tuple(_filled(kept[place::-1]) for place in range(len(kept)))


def _most_instances(offers: Sequence[ProfileOffer], *, by: str) -> list[ProfileOffer]:
    best: dict[int, ProfileOffer] = {}
    for offer in offers:
        size = getattr(offer.profile, by)
        if size not in best or offer.max_instances > best[size].max_instances:
            best[size] = offer
    return sorted(best.values(), key=lambda offer: offer.profile)


def _filled(offers: Sequence[ProfileOffer]) -> Template:
    """As many instances of each as find room, in order, at the lowest starts."""
    template: list[Placed] = []
    for offer in offers:
        for start in sorted(offer.starts):
            window = Window(start, offer.size)
            if not any(window.overlaps(instance.window) for instance in template):
                template.append(Placed(window, offer.profile))
    return tuple(template)
