"""A model of the API server's storage: objects under paths, one resourceVersion for all, and their history.

It keeps the rules that clients rely on: a write with an old resourceVersion is refused, uids are unique, the status
subresource and the rest do not touch each other, history can be compacted. It checks no schema and knows no kinds.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

JsonObject = dict[str, Any]


class StatusError(Exception):
    """What the API server would answer with an error status."""

    def __init__(self, code: int, reason: str, message: str = "", details: JsonObject | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message or reason,
            "details": details or {},
        }


@dataclass(frozen=True)
class Change:
    """One entry of the history; ``before`` and ``after`` are None where there was nothing."""

    version: int
    collection: str
    before: JsonObject | None
    after: JsonObject | None


@dataclass
class ObjectStore:
    """Objects by collection (``api/v1/pods``) and by (namespace, name)."""

    objects: dict[str, dict[tuple[str, str], JsonObject]] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    version: int = 1
    compacted: int = 0
    _uids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def collection(self, name: str) -> dict[tuple[str, str], JsonObject]:
        """Give the live objects of a collection."""
        return self.objects.setdefault(name, {})

    def get(self, collection: str, namespace: str, name: str) -> JsonObject:
        """Read a copy of one object."""
        try:
            return copy.deepcopy(self.collection(collection)[namespace, name])
        except KeyError:
            raise StatusError(404, "NotFound", f"{collection} {name!r} not found") from None

    def create(self, collection: str, namespace: str, given: Mapping[str, Any]) -> JsonObject:
        """Store a new object."""
        obj: JsonObject = copy.deepcopy(dict(given))
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = f"{metadata.get('generateName', '')}{uuid4().hex[:5]}"
        key = (namespace, metadata["name"])
        if key in self.collection(collection):
            raise StatusError(409, "AlreadyExists", f"{collection} {key[1]!r} already exists")
        metadata.update(uid=f"uid-{next(self._uids)}", generation=1)
        if namespace:
            metadata["namespace"] = namespace
        return self._store(collection, key, None, obj)

    def update(
        self, collection: str, namespace: str, name: str, new: Mapping[str, Any], *, subresource: str = ""
    ) -> JsonObject:
        """Store an object again, or with ``subresource`` only its status."""
        old = self.get(collection, namespace, name)
        new = copy.deepcopy(dict(new))
        given = new.get("metadata", {})
        if given.get("resourceVersion") not in {None, "", old["metadata"]["resourceVersion"]}:
            raise StatusError(409, "Conflict", "the object has been modified")
        if given.get("uid") not in {None, "", old["metadata"]["uid"]}:
            raise StatusError(409, "Conflict", "the uid differs")
        merged = {**old, "status": new.get("status")} if subresource else {**new, "status": old.get("status")}
        merged = {key: value for key, value in merged.items() if value is not None}
        fixed = {key: old["metadata"][key] for key in ("uid", "name", "namespace") if key in old["metadata"]}
        metadata = merged["metadata"] = {**merged["metadata"], **fixed}
        metadata["generation"] = old["metadata"]["generation"] + (merged.get("spec") != old.get("spec"))
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        if merged == old:
            return old
        return self._store(collection, (namespace, name), old, merged)

    def delete(
        self, collection: str, namespace: str, name: str, preconditions: Mapping[str, Any] | None = None
    ) -> JsonObject:
        """Remove an object."""
        old = self.get(collection, namespace, name)
        for key, wanted in (preconditions or {}).items():
            if old["metadata"].get(key) != wanted:
                raise StatusError(409, "Conflict", f"precondition {key} failed")
        self.version += 1
        del self.collection(collection)[namespace, name]
        gone = copy.deepcopy(old)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(Change(self.version, collection, gone, None))
        return gone

    def compact(self) -> None:
        """Forget the history: older watches and continue tokens get 410."""
        self.compacted = self.version
        self.history.clear()

    def _store(self, collection: str, key: tuple[str, str], old: JsonObject | None, new: JsonObject) -> JsonObject:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        self.collection(collection)[key] = new
        self.history.append(Change(self.version, collection, old, copy.deepcopy(new)))
        return copy.deepcopy(new)
