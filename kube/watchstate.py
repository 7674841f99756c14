"""What a watch knows, and what each answer of the API server changes about it. No network here.

`WatchState` turns pages of lists and raw watch events into `Event` values. It promises: an object that is gone,
however that was learnt, is reported as `Delete` once; an object that was deleted and made again under its name is a
`Delete` and then an `Upsert`; an unchanged object is not reported again; an object that cannot be decoded is
`Rejected` alone, and its last good form stays known. It keeps no raw objects, only what ``decode`` made of them
(which must not be None).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from kube.errors import Garbled, from_status

T = TypeVar("T")

KINDS = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"})

# What a decoder may raise for an object that it cannot read.
DECODE_ERRORS = (ValueError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True, slots=True)
class Key:
    """The name of an object within its resource; ``namespace`` is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Upsert(Generic[T]):
    """The object is new or has changed."""

    key: Key
    obj: T


@dataclass(frozen=True, slots=True)
class Delete(Generic[T]):
    """The object is gone; ``obj`` is its last known form."""

    key: Key
    obj: T


@dataclass(frozen=True, slots=True)
class Rejected:
    """The object is there, but ``decode`` refused it: flag this one and go on."""

    key: Key
    uid: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Synced:
    """A list has been read to its end: all that exists has been reported."""


Event: TypeAlias = Upsert[T] | Delete[T] | Rejected | Synced


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """The last form of one object; ``obj`` is None as long as none could be decoded."""

    uid: str
    version: str
    obj: T | None


class WatchState(Generic[T]):
    """The objects known so far and the resourceVersion up to which that is complete; None before the first list."""

    def __init__(self, decode: Callable[[dict[str, Any]], T], *, what: str = "watch") -> None:
        self.version: str | None = None
        self._decode = decode
        self.what = what
        self._known: dict[Key, _Known[T]] = {}
        self._seen: set[Key] = set()

    def start_list(self) -> None:
        """Begin to read a list; an earlier one that was not finished is forgotten."""
        self.version = None
        self._seen = set()

    def page(self, items: Iterable[object]) -> Iterator[Event[T]]:
        """Take in one page of the list."""
        for item in items:
            if not isinstance(item, dict) or (key := _key_of(item)) is None:
                continue
            self._seen.add(key)
            yield from self._put(key, item)

    def finish_list(self, version: str) -> Iterator[Event[T]]:
        """Take in the end of the list: whatever it did not name is gone."""
        for key in [key for key in self._known if key not in self._seen]:
            yield from self._drop(key)
        self._seen = set()
        self.version = version
        yield Synced()

    def apply(self, raw: object) -> Iterator[Event[T]]:
        """Take in one watch event.

        Raises `Expired` when the server says that our version is too old, another `ApiError` for its other ERROR
        events, and `Garbled` for what is no watch event at all.
        """
        kind, obj = self._parse(raw)
        if kind == "ERROR":
            raise from_status(self.what, obj)
        if kind != "BOOKMARK":
            if (key := _key_of(obj)) is None:
                raise Garbled(self.what, reason="Garbled", message="a watch event's object has no name")
            yield from self._drop(key) if kind == "DELETED" else self._put(key, obj)
        if version := _text(obj, "resourceVersion"):
            self.version = version

    def expire(self) -> None:
        """Forget the version (not the objects), so that a list comes next."""
        self.version = None

    def _parse(self, raw: object) -> tuple[str, dict[str, Any]]:
        if isinstance(raw, dict):
            kind, obj = raw.get("type"), raw.get("object")
            if isinstance(kind, str) and kind in KINDS and isinstance(obj, dict):
                return kind, obj
        raise Garbled(self.what, reason="Garbled", message=f"no watch event: {raw!r:.200}")

    def _put(self, key: Key, obj: dict[str, Any]) -> Iterator[Event[T]]:
        uid, version = _text(obj, "uid"), _text(obj, "resourceVersion")
        old = self._known.get(key)
        if old is not None and old.uid != uid:
            yield from self._drop(key)
            old = None
        if old is not None and version and old.version == version:
            return
        try:
            decoded = self._decode(obj)
        except DECODE_ERRORS as error:
            self._known[key] = _Known(uid, version, old.obj if old else None)
            yield Rejected(key, uid, error)
            return
        self._known[key] = _Known(uid, version, decoded)
        yield Upsert(key, decoded)

    def _drop(self, key: Key) -> Iterator[Event[T]]:
        old = self._known.pop(key, None)
        if old is not None and old.obj is not None:
            yield Delete(key, old.obj)


def _key_of(obj: Mapping[str, Any]) -> Key | None:
    name = _text(obj, "name")
    return Key(_text(obj, "namespace"), name) if name else None


def _text(obj: Mapping[str, Any], field: str) -> str:
    metadata = obj.get("metadata")
    value = metadata.get(field) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else ""
