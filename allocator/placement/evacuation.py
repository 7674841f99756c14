"""Three moves and more: one GPU is cleared of what lies where the new slice is to go, into room that is free now.

For each GPU and each start of the new slice the slices in its window are known, and the fewest go first. The larger ones land
first, each where the value gains most, also beside the new slice. No slice makes way for one that lands, and no landing is taken
back, so a plan may be missed, or be found with more moves than the fewest.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allocator.placement.moves import Desk, Group, Slot
from mig.profiles import Profile

Landing = tuple[Slot, tuple[int, int], int]
"""A slice of the cleared GPU, the GPU where it lands (group, which of it) and its start there."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """The first GPU of `group` is cleared, the new slice lies there at `start`."""

    group: int
    start: int
    landings: tuple[Landing, ...]
    gain: float


@dataclass(frozen=True, slots=True)
class _Site:
    """A GPU to clear: what leaves, and its state with the new slice."""

    group: int
    start: int
    slots: tuple[Slot, ...]
    after: int


def clear(
    profile: Profile, groups: Sequence[Group], desks: Sequence[Desk], *, most: int, least: int = 3
) -> Clearing | None:
    """The clearing of the largest gain among those with the fewest moves, from `least` to `most`; None where none was found."""
    if most < least:
        return None
    sites: dict[int, list[_Site]] = {}
    for index, group in enumerate(groups):
        for site in _sites(profile, index, group, desks[index]):
            sites.setdefault(len(site.slots), []).append(site)
    room = _Room(groups, desks)
    for moves in range(least, most + 1):
        found = [cleared for site in sites.get(moves, ()) if (cleared := room.land(site)) is not None]
        if found:
            return max(found, key=lambda cleared: cleared.gain)
    return None


def _sites(profile: Profile, index: int, group: Group, desk: Desk) -> Iterator[_Site]:
    space = group.values.space
    kind = space.kinds.get(profile)
    if kind is None or not group.takes:
        return
    offers = space.shape.offers
    size = offers[kind].size
    for start in sorted(offers[kind].starts):
        slots = tuple(
            slot for slot in group.movable if slot[1] < start + size and start < slot[1] + offers[slot[0]].size
        )
        for place, after in space.places(desk.left(group.state, slots), kind):
            if place == start:
                yield _Site(index, start, slots, after)


class _Room:
    """Where slices can land while one GPU is cleared."""

    def __init__(self, groups: Sequence[Group], desks: Sequence[Desk]) -> None:
        self._groups = groups
        self._desks = desks
        self._ranked: dict[Profile, list[int]] = {}

    def land(self, site: _Site) -> Clearing | None:
        """The clearing, or None where a slice finds no room."""
        home = (site.group, 0)
        values = self._groups[site.group].values
        touched = {home: site.after}
        gain = values.value(site.after) - values.value(self._groups[site.group].state)
        offers = values.space.shape.offers
        landings: list[Landing] = []
        for slot in sorted(site.slots, key=lambda slot: (-offers[slot[0]].size, slot)):
            best: tuple[float, tuple[int, int], int, int] | None = None
            for gpu, state in self._open(offers[slot[0]].profile, touched):
                found = self._put(offers[slot[0]].profile, gpu[0], state)
                if found is not None and (best is None or found[0] > best[0]):
                    best = found[0], gpu, found[1], found[2]
            if best is None:
                return None
            gain += best[0]
            touched[best[1]] = best[3]
            landings.append((slot, best[1], best[2]))
        return Clearing(site.group, site.start, tuple(landings), round(gain, 9))

    def _open(self, profile: Profile, touched: dict[tuple[int, int], int]) -> list[tuple[tuple[int, int], int]]:
        """The GPUs of this plan, and the best one beside them."""
        used = Counter(group for group, _ in touched)
        fresh = next((index for index in self._best_first(profile) if used[index] < self._groups[index].count), None)
        opened = list(touched.items())
        if fresh is not None:
            opened.append(((fresh, used[fresh]), self._groups[fresh].state))
        return opened

    def _best_first(self, profile: Profile) -> list[int]:
        known = self._ranked.get(profile)
        if known is None:
            gains = ((index, self._put(profile, index, group.state)) for index, group in enumerate(self._groups))
            fits = [(-found[0], index) for index, found in gains if found is not None]
            known = self._ranked[profile] = [index for _, index in sorted(fits)]
        return known

    def _put(self, profile: Profile, group: int, state: int) -> tuple[float, int, int] | None:
        """Gain, start and state after, of the best place on a GPU."""
        values, desk = self._groups[group].values, self._desks[group]
        kind = values.space.kinds.get(profile)
        if kind is None:
            return None
        found = desk.best(Group(values, state), desk.holding(state), (), (kind,))
        return None if found is None else (found.gain, found.starts[0], found.after)
