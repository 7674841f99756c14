"""The states of a GPU: everything about what lies on it that decides what may still be put there, as small integers.

A state is the set of occupied windows, and beside it only the counts that bind: whether somebody holds the media engines, how
many there are of a profile whose limit is lower than its room, and, where allowed geometries narrow the model, how many there are
of each profile. Windows and counts come from the driver's offers, never from a profile's name: two models with equal offers
share one space. Transitions are worked out when first needed and kept, so a decision is a look-up.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from mig.geometries import Geometry
from mig.occupancy import Placed
from mig.placements import GpuShape, ProfileOffer, Window
from mig.profiles import Profile

Place = tuple[int, int]
"""A legal start, and the state after a slice was put there."""

_Key = tuple[tuple[tuple[int, int], ...], tuple[int, ...]]

EMPTY: Final = 0
"""The state of a GPU on which nothing lies, in every space."""


class StateSpace:
    """The states of GPUs of one shape, narrowed by the geometries that are allowed on their model (None: everything is).

    `kinds` are the offers by index: what a demand is to the tables. States that no legal sequence reaches (a foreign slice of a
    profile that the driver no longer names, say) get a number when they are met.
    """

    def __init__(self, shape: GpuShape, allowed: tuple[Geometry, ...] | None = None) -> None:
        self.shape = shape
        self.allowed = allowed
        self.kinds: dict[Profile, int] = {offer.profile: kind for kind, offer in enumerate(shape.offers)}
        self.placed: tuple[dict[int, Placed], ...] = tuple(
            {start: Placed(Window(start, offer.size), offer.profile) for start in offer.starts}
            for offer in shape.offers
        )
        """By kind and start: the slice itself, made once."""
        self._rules = _Rules(shape, allowed)
        self._ids: dict[_Key, int] = {}
        self._keys: list[_Key] = []
        self._places: list[dict[int, tuple[Place, ...]]] = []
        self._without: dict[tuple[int, Placed], int] = {}
        self.free: list[int] = []
        """By state: free memory slices."""
        self._explored = 0
        self.reachable = 0
        """States that were found by the first `explore`: from the empty one, if nothing else was met before it."""
        self._id(((), self._rules.none))

    def __len__(self) -> int:
        return len(self._keys)

    def explore(self) -> None:
        """Number every state that a GPU can reach from the empty one, and from those that were met."""
        while self._explored < len(self._keys):
            for kind in range(len(self.shape.offers)):
                self.places(self._explored, kind)
            self._explored += 1
        self.reachable = self.reachable or len(self._keys)

    def of(self, placed: Iterable[Placed]) -> int:
        """The state of a GPU that holds exactly these slices."""
        items = tuple(placed)
        windows = tuple(sorted((item.window.start, item.window.size) for item in items))
        return self._id((windows, self._rules.marks(item.profile for item in items)))

    def meet(self, placed: Iterable[Placed]) -> int:
        """The same of a GPU that there is; the states that it may come into as slices leave it are numbered with it."""
        items = tuple(placed)
        many = len(self._keys)
        state = self.of(items)
        if many < len(self._keys):
            ours = [item for item in items if item.profile in self.kinds]
            for count in range(1, len(ours) + 1):
                for gone in combinations(ours, count):
                    self.of(item for item in items if item not in gone)
        return state

    def places(self, state: int, kind: int) -> tuple[Place, ...]:
        """Where one more slice of a kind may be made, ascending, each with the state after it."""
        known = self._places[state].get(kind)
        if known is None:
            known = self._places[state][kind] = tuple(self._find(state, kind))
        return known

    def after(self, state: int, kind: int, start: int) -> int:
        """The state once a slice of a kind lies at a legal `start`. Raises `KeyError` where it may not."""
        for place, then in self.places(state, kind):
            if place == start:
                return then
        raise KeyError((state, kind, start))

    def without(self, state: int, placed: Placed) -> int:
        """The state once a slice that lies there is gone."""
        known = self._without.get((state, placed))
        if known is None:
            windows, marks = self._keys[state]
            gone = (placed.window.start, placed.window.size)
            left = tuple(window for window in windows if window != gone)
            known = self._without[state, placed] = self._id((left, self._rules.less(marks, placed.profile)))
        return known

    def windows(self, state: int) -> tuple[tuple[int, int], ...]:
        """The occupied windows as (start, size), ascending."""
        return self._keys[state][0]

    def _find(self, state: int, kind: int) -> Iterator[Place]:
        windows, marks = self._keys[state]
        offer = self.shape.offers[kind]
        if not self._rules.may_add(marks, offer):
            return
        then = self._rules.more(marks, offer.profile)
        for start in sorted(offer.starts):
            end = start + offer.size
            if all(end <= begin or begin + size <= start for begin, size in windows):
                yield start, self._id((tuple(sorted((*windows, (start, offer.size)))), then))

    def _id(self, key: _Key) -> int:
        known = self._ids.get(key)
        if known is None:
            known = self._ids[key] = len(self._keys)
            self._keys.append(key)
            self._places.append({})
            self.free.append(self.shape.width - sum(size for _, size in key[0]))
        return known


class _Rules:
    """What besides overlap forbids a slice, and the counts (`marks`) that this takes."""

    def __init__(self, shape: GpuShape, allowed: Sequence[Geometry] | None) -> None:
        self._allowed = allowed
        counted = [offer.profile for offer in shape.offers if allowed is not None or _limit_binds(offer)]
        self._place = {profile: place for place, profile in enumerate(counted)}
        self._counted = counted
        self._media = any(offer.profile.takes_media for offer in shape.offers)
        # Behind the counts: holders of the media engines, then, under geometries, slices that are no offer of the driver.
        self.none = (0,) * (len(counted) + 2)

    def marks(self, profiles: Iterable[Profile]) -> tuple[int, ...]:
        marks = self.none
        for profile in profiles:
            marks = self.more(marks, profile)
        return marks

    def more(self, marks: tuple[int, ...], profile: Profile) -> tuple[int, ...]:
        return self._changed(marks, profile, 1)

    def less(self, marks: tuple[int, ...], profile: Profile) -> tuple[int, ...]:
        return self._changed(marks, profile, -1)

    def _changed(self, marks: tuple[int, ...], profile: Profile, by: int) -> tuple[int, ...]:
        new = list(marks)
        place = self._place.get(profile)
        if place is not None:
            new[place] += by
        elif self._allowed is not None:
            new[-1] += by
        if self._media and profile.takes_media:
            new[-2] += by
        return tuple(new)

    def may_add(self, marks: tuple[int, ...], offer: ProfileOffer) -> bool:
        if marks[-2] and offer.profile.takes_media:
            return False
        place = self._place.get(offer.profile)
        if place is not None and marks[place] >= offer.max_instances:
            return False
        return self._allowed is None or self._is_allowed(self.more(marks, offer.profile))

    def _is_allowed(self, marks: tuple[int, ...]) -> bool:
        wanted = {profile: count for profile, count in zip(self._counted, marks, strict=False) if count}
        return not marks[-1] and any(geometry.covers(wanted) for geometry in self._allowed or ())


def _limit_binds(offer: ProfileOffer) -> bool:
    """Whether there is room for more instances than the driver allows."""
    room = end = 0
    for start in sorted(offer.starts):
        if start >= end:
            room, end = room + 1, start + offer.size
    return offer.max_instances < room


@lru_cache(maxsize=256)
def space_of(shape: GpuShape, allowed: tuple[Geometry, ...] | None = None) -> StateSpace:
    """The one space for such GPUs, explored; geometries that forbid nothing there are left out of it."""
    space = StateSpace(shape, allowed)
    space.explore()
    if allowed is not None and not _narrows(shape, space):
        return space_of(shape)
    return space


def _narrows(shape: GpuShape, space: StateSpace) -> bool:
    """Whether some set of slices that the driver would take is not among the explored states of a narrowed space."""
    free = StateSpace(shape, (Geometry(tuple((offer.profile, offer.max_instances) for offer in shape.offers)),))
    free.explore()
    return len(free) != len(space)
