"""The latest form of each object of one resource, from a watch and from the answers to our own writes.

An answer is usually ahead of the watch, so older watch events must not undo it; but it may also arrive after the watch has
shown it, or something newer. Both are told apart by keeping books, never by comparing resourceVersions as numbers: the versions
that the watch shows while a write runs, and the version that the watch has still to show after one.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from kube.watchstate import Key

T = TypeVar("T")

PATIENCE_S: Final = 10.0
"""How long older events are held back for an answer that the watch does not show; a list may have skipped it."""


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """One version of an object."""

    uid: str
    version: str
    value: T


@dataclass(slots=True)
class _Flight:
    """A write on its way; what the watch shows meanwhile."""

    shown: set[str] = field(default_factory=set)
    gone: bool = False


@dataclass(slots=True)
class _Awaited(Generic[T]):
    """An answer that the watch has still to show."""

    version: str
    since_s: float
    held_back: Seen[T] | None = None


class Shelf(Generic[T]):
    """Objects by key. `on_change(old, new)` is called for each change, None standing for "not there"."""

    def __init__(
        self,
        on_change: Callable[[T | None, T | None], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self._items: dict[Key, Seen[T]] = {}
        self._flights: dict[Key, _Flight] = {}
        self._awaited: dict[Key, _Awaited[T]] = {}
        self.synced = False

    @property
    def items(self) -> Mapping[Key, Seen[T]]:
        """All objects, read only."""
        return MappingProxyType(self._items)

    def watched(self, key: Key, seen: Seen[T]) -> None:
        """The watch shows a version."""
        if flight := self._flights.get(key):
            flight.shown.add(seen.version)
        awaited = self._awaited.get(key)
        if awaited is not None:
            if awaited.version != seen.version and self._clock() - awaited.since_s < PATIENCE_S:
                awaited.held_back = seen
                return
            del self._awaited[key]
        self._store(key, seen)

    def deleted(self, key: Key) -> None:
        """The object is gone."""
        if flight := self._flights.get(key):
            flight.gone = True
        self._awaited.pop(key, None)
        old = self._items.pop(key, None)
        if old is not None:
            self._on_change(old.value, None)

    def listed(self) -> None:
        """A list was read to its end: what it showed is no older than what was held back."""
        self.synced = True
        awaited, self._awaited = self._awaited, {}
        for key, item in awaited.items():
            if item.held_back is not None:
                self._store(key, item.held_back)

    @contextmanager
    def writing(self, key: Key) -> Iterator[None]:
        """Around our own requests for one object; its answers go to `answered`. One at a time for each object."""
        self._flights[key] = _Flight()
        try:
            yield
        finally:
            del self._flights[key]

    def answered(self, key: Key, seen: Seen[T]) -> None:
        """The API server answered a request of ours with this version."""
        flight = self._flights[key]
        current = self._items.get(key)
        if flight.gone or seen.version in flight.shown or (current is not None and current.version == seen.version):
            return
        self._awaited[key] = _Awaited(seen.version, self._clock())
        self._store(key, seen)

    def _store(self, key: Key, seen: Seen[T]) -> None:
        old = self._items.get(key)
        self._items[key] = seen
        self._on_change(old.value if old else None, seen.value)
