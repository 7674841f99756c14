"""Where slices can lie on a GPU: windows on its grid, and what the driver offers there.

The grid's unit is one memory slice. Its width (8 on most cards, 4 on an A30, 12 on an RTX PRO 6000) and the legal starts of each
profile come from the driver (`nvmlDeviceGetGpuInstancePossiblePlacements`), never from a table of ours.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mig.profiles import Profile


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A run of memory slices, `start` inclusive, `start + size` exclusive."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """The first memory slice behind it."""
        return self.start + self.size

    def overlaps(self, other: "Window") -> bool:
        """Whether they share a memory slice."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class ProfileOffer:
    """One profile as the driver of one GPU offers it.

    `profile_id` is what NVML's create calls take (`info.id`), not the enum. `starts` are all legal starts on an empty GPU.
    """

    profile: Profile
    profile_id: int
    size: int
    starts: tuple[int, ...]
    max_instances: int
    memory_mib: int = 0
    engines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def windows(self) -> tuple[Window, ...]:
        """Every place where it may lie on an empty GPU, by start."""
        return tuple(Window(start, self.size) for start in self.starts)


@dataclass(frozen=True)
class GpuShape:
    """What one GPU can be cut into: the width of its grid and its offers. Equal GPUs have equal shapes, so it keys tables."""

    width: int
    offers: tuple[ProfileOffer, ...]

    @cached_property
    def by_profile(self) -> Mapping[Profile, ProfileOffer]:
        """The offers by profile."""
        return {offer.profile: offer for offer in self.offers}

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(
            (self.width, tuple((o.profile, o.profile_id, o.size, o.starts, o.max_instances) for o in self.offers))
        )


def grid_width(offers: Iterable[ProfileOffer]) -> int:
    """The width of a GPU's grid: the furthest end of any legal placement; 0 where nothing is offered."""
    return max((window.end for offer in offers for window in offer.windows()), default=0)
