"""What lies on a GPU, and what may still be put there.

Exact by the driver's own rules: windows do not overlap, no profile exceeds its count, and one slice at most holds the
media engines. Feasibility from these is what the hardware does. The enumerations at the end are the oracles of the tests
and the ground for value tables.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mig.placements import GpuShape, ProfileOffer, Window
from mig.profiles import Profile


@dataclass(frozen=True, slots=True, order=True)
class Placed:
    """One slice at its place."""

    window: Window
    profile: Profile


def occupied(placed: Iterable[Placed]) -> int:
    """The mask of occupied memory slices, bit `i` for slice `i`."""
    mask = 0
    for item in placed:
        mask |= ((1 << item.window.size) - 1) << item.window.start
    return mask


def fits_beside(offer: ProfileOffer, start: int, placed: Iterable[Placed]) -> bool:
    """Whether one more slice of `offer` may lie at `start` beside what is `placed`."""
    window = Window(start, offer.size)
    same = 0
    for item in placed:
        if window.overlaps(item.window):
            return False
        if offer.profile.takes_media and item.profile.takes_media:
            return False
        same += item.profile == offer.profile
    return start in offer.starts and same < offer.max_instances


def legal_starts(offer: ProfileOffer, placed: Iterable[Placed]) -> tuple[int, ...]:
    """The starts at which one more slice of `offer` may be made now, ascending."""
    items = tuple(placed)
    return tuple(start for start in sorted(offer.starts) if fits_beside(offer, start, items))


def first_fault(shape: GpuShape, placed: Iterable[Placed]) -> str | None:
    """Why a set of slices cannot exist on such a GPU, or None where it can; the words go to the user."""
    done: list[Placed] = []
    for item in placed:
        offer = shape.by_profile.get(item.profile)
        if offer is None:
            return f"the GPU offers no profile {item.profile}"
        if item.window.size != offer.size or item.window.start not in offer.starts:
            return f"{item.profile} cannot lie at {item.window.start}; its starts are {sorted(offer.starts)}, its size {offer.size}"
        if not fits_beside(offer, item.window.start, done):
            return f"{item.profile} at {item.window.start} does not fit beside {', '.join(_shown(other) for other in done)}"
        done.append(item)
    return None


def _shown(item: Placed) -> str:
    return f"{item.profile} at {item.window.start}"


def moves(shape: GpuShape, placed: Iterable[Placed]) -> Iterator[Placed]:
    """Every single slice that may be added."""
    items = tuple(placed)
    for offer in shape.offers:
        for start in legal_starts(offer, items):
            yield Placed(Window(start, offer.size), offer.profile)


def reachable_layouts(shape: GpuShape) -> frozenset[frozenset[Placed]]:
    """Every set of placed slices that a GPU of this shape can hold, the empty one included."""
    seen: set[frozenset[Placed]] = {frozenset()}
    frontier = list(seen)
    while frontier:
        layout = frontier.pop()
        for move in moves(shape, layout):
            grown = layout | {move}
            if grown not in seen:
                seen.add(grown)
                frontier.append(grown)
    return frozenset(seen)


def maximal_layouts(shape: GpuShape) -> frozenset[frozenset[Placed]]:
    """The layouts to which nothing can be added."""
    return frozenset(layout for layout in reachable_layouts(shape) if next(moves(shape, layout), None) is None)


def multiset(layout: Iterable[Placed]) -> tuple[tuple[Profile, int], ...]:
    """How many of each profile, places forgotten, in the profiles' order."""
    return tuple(sorted(Counter(item.profile for item in layout).items()))
