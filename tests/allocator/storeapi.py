"""The API server that the model tests write to: the model storage, with the CRD's rules and faults at each call."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kube.errors import ApiError, Conflict, from_status
from kube.resource import Resource
from mig.migspec_json import spec_from_json
from tests.support.objectstore import JsonObject, ObjectStore, StatusError
from tests.support.patches import json_patch, merge

MIGSPECS = "apis/nos.nebuly.com/v1alpha1/migspecs"
PODS = "api/v1/pods"
NODES = "api/v1/nodes"

Fault = Callable[[str], None]
"""Told `before METHOD collection/name` and `after …` of each call; raises what is to go wrong there."""


def no_fault(_: str) -> None:
    """All goes well."""


class StoreApi:
    """`allocator.writer.ObjectApi` on an `ObjectStore`."""

    def __init__(self, store: ObjectStore, *, fault: Fault = no_fault) -> None:
        self.store = store
        self.fault = fault
        self.calls: list[str] = []

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, timeout_s: float = 10.0
    ) -> JsonObject:
        """Read one object."""
        where = _collection(resource)
        return self._call(f"GET {where}/{name}", timeout_s, lambda: self.store.get(where, namespace or "", name))

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], *, namespace: str | None = None, timeout_s: float = 10.0
    ) -> JsonObject:
        """Create one object."""
        where = _collection(resource)
        name = obj["metadata"]["name"]
        return self._call(f"POST {where}/{name}", timeout_s, lambda: self.store.create(where, namespace or "", obj))

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Delete one object."""
        where = _collection(resource)
        given = {"uid": uid, "resourceVersion": resource_version}
        only = {key: value for key, value in given.items() if value is not None}
        self._call(f"DELETE {where}/{name}", timeout_s, lambda: self.store.delete(where, namespace or "", name, only))

    async def merge_patch(
        self, resource: Resource, name: str, patch: Mapping[str, Any], *, timeout_s: float = 10.0
    ) -> JsonObject:
        """Merge into one object."""
        where = _collection(resource)

        def write() -> JsonObject:
            return self.store.update(where, "", name, merge(self.store.get(where, "", name), patch))

        return self._call(f"PATCH {where}/{name}", timeout_s, write)

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        timeout_s: float = 10.0,
    ) -> JsonObject:
        """Apply operations to one object."""
        where = _collection(resource)

        def write() -> JsonObject:
            old = self.store.get(where, namespace or "", name)
            new = json_patch(old, operations)
            if where == MIGSPECS and not subresource:
                judge(old, new)
            return self.store.update(where, namespace or "", name, new, subresource=subresource or "")

        what = f"PATCH {where}/{name}{'/' if subresource else ''}{subresource or ''}"
        return self._call(what, timeout_s, write, tests=True)

    def _call(self, what: str, timeout_s: float, act: Callable[[], JsonObject], *, tests: bool = False) -> JsonObject:
        assert timeout_s > 0
        self.calls.append(what)
        self.fault(f"before {what}")
        try:
            answer = act()
        except StatusError as error:
            failure: ApiError = from_status(what, error.body)
            if tests and failure.status == 422 and not error.body["details"]:
                failure = Conflict(what, status=422, reason="TestFailed")
            raise failure from error
        self.fault(f"after {what}")
        return answer


def judge(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """The CRD's CEL rules."""
    spec = spec_from_json(new["spec"])
    refusals = []
    if spec.leader_epoch < old["spec"]["leaderEpoch"]:
        refusals.append("leaderEpoch never decreases")
    for gpu in spec.gpus:
        windows = sorted(item.window for item in gpu.slices)
        if any(left.end > right.start for left, right in pairwise(windows)):
            refusals.append(f"slices of {gpu.uuid} overlap")
    holders = [(claim.uid, claim.container) for _, _, claim in spec.claims()]
    if len(holders) != len(set(holders)):
        refusals.append("a container holds two slices")
    if refusals:
        raise StatusError(422, "Invalid", "; ".join(refusals), {"causes": [{"message": text} for text in refusals]})


def _collection(resource: Resource) -> str:
    return resource.path().removeprefix("/")
