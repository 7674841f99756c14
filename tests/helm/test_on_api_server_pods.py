"""Our gate and annotations are the allocator's and the webhook's alone, with all our processes down (W8, W9)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from cluster.cluster import Cluster
from kube.client import Api
from kube.errors import Forbidden, Invalid, Unavailable
from kube.resource import PODS
from kube.transport import Request
from mig import names
from tests.support.chart import SETTLE_S, refused

ALLOCATION = '{"main":{"node":"n1","gpu":"GPU-1","profile":"1g.10gb","start":0}}'
REQUEST = '{"main":"1g.10gb"}'


def pod(name: str, *, admitted: bool = True, asks: bool = True, **metadata: Any) -> dict[str, Any]:
    """A Pod as it is stored after the webhook saw it, or one as a user writes it."""
    ours: dict[str, Any] = {
        "labels": {names.POD_LABEL: names.POD_LABEL_VALUE},
        "annotations": {names.REQUEST_ANNOTATION: REQUEST},
    }
    limits = {"nvidia.com/mig-1g.10gb": "1"} if asks else {"cpu": "100m"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **(ours if admitted else {}), **metadata},
        "spec": {
            "containers": [{"name": "main", "image": "busybox", "resources": {"limits": limits}}],
            **({"schedulingGates": [{"name": "example.com/other"}, {"name": names.GATE}]} if admitted else {}),
        },
    }


@pytest.fixture(scope="module", autouse=True)
def _webhook_is_passed_by(cluster: Cluster) -> Iterator[None]:
    """The policies alone stand guard, and a test may store what the webhook would have made of a Pod."""
    operation = {"op": "replace", "path": "/webhooks/0/failurePolicy"}
    for policy in ("Ignore", "Fail"):
        patch = json.dumps([{**operation, "value": policy}])
        cluster.kubectl("patch", "mutatingwebhookconfiguration", "nos-mig", "--type=json", "--patch", patch)
        if policy == "Ignore":
            yield


@pytest.fixture(autouse=True)
async def _in_force(admin: Api) -> None:
    await refused(lambda: admin.create(PODS, pod("probe", annotations={names.ALLOCATION_ANNOTATION: "{}"})))
    await refused(lambda: admin.create(PODS, pod("probe", asks=False)))


@pytest.fixture
async def gated(admin: Api) -> AsyncIterator[str]:
    """The name of a Pod that waits behind our gate."""
    await stored(admin, pod("train"))
    yield "train"
    await admin.delete(PODS, "train", namespace="default", grace_period_s=0)


async def stored(api: Api, obj: dict[str, Any]) -> None:
    """Create a Pod that asks for a slice; the API server takes a moment to notice that the webhook is passed by."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            try:
                await api.create(PODS, obj)
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return


def ungating() -> list[dict[str, Any]]:
    """The allocator's one patch: the annotation, and our gate away, another's left."""
    return [
        {"op": "add", "path": "/metadata/annotations/nos.nebuly.com~1mig-allocation", "value": ALLOCATION},
        {"op": "test", "path": "/spec/schedulingGates/1/name", "value": names.GATE},
        {"op": "remove", "path": "/spec/schedulingGates/1"},
    ]


async def merge(api: Api, name: str, patch: dict[str, Any], subresource: str | None = None) -> dict[str, Any]:
    return await api.merge_patch(PODS, name, patch, namespace="default", subresource=subresource)


async def test_the_allocator_nominates_allocates_and_ungates(allocator: Api, gated: str) -> None:
    """The two patches of a Pod's way, with the rights of the chart's ServiceAccount."""
    conditions = [{"type": names.CONDITION, "status": "True", "reason": "Allocated"}]
    await merge(allocator, gated, {"status": {"nominatedNodeName": "n1", "conditions": conditions}}, "status")
    stored = await allocator.json_patch(PODS, gated, ungating(), namespace="default")
    assert stored["spec"]["schedulingGates"] == [{"name": "example.com/other"}]
    assert stored["metadata"]["annotations"][names.ALLOCATION_ANNOTATION] == ALLOCATION


async def test_nobody_else_ungates(admin: Api, gated: str) -> None:
    """W9: not even the cluster's administrator, whom a dead allocator tempts."""
    with pytest.raises(Forbidden, match="only the allocator removes the scheduling gate"):
        await admin.json_patch(PODS, gated, ungating()[1:], namespace="default")
    with pytest.raises(Forbidden, match="only the allocator removes the scheduling gate"):
        await merge(admin, gated, {"spec": {"schedulingGates": None}})


async def test_another_gate_is_removed_by_its_own_controller(admin: Api, gated: str) -> None:
    """W21: only our gate is guarded."""
    stored = await merge(admin, gated, {"spec": {"schedulingGates": [{"name": names.GATE}]}})
    assert stored["spec"]["schedulingGates"] == [{"name": names.GATE}]


@pytest.mark.parametrize("subresource", [None, "status"])
async def test_nobody_else_writes_an_allocation(
    admin: Api, allocator: Api, gated: str, subresource: str | None
) -> None:
    """W8, W9: neither sets nor changes nor removes it; metadata travels on pods/status, too."""
    patch = {"metadata": {"annotations": {names.ALLOCATION_ANNOTATION: ALLOCATION}}}
    with pytest.raises(Forbidden, match="only the allocator writes the annotation"):
        await merge(admin, gated, patch, subresource)
    await merge(allocator, gated, patch)
    for value in ("{}", "", None):
        with pytest.raises(Forbidden, match="only the allocator writes the annotation"):
            await merge(admin, gated, {"metadata": {"annotations": {names.ALLOCATION_ANNOTATION: value}}}, subresource)


@pytest.mark.parametrize("asks", [True, False])
async def test_nobody_creates_a_pod_with_an_allocation(admin: Api, *, asks: bool) -> None:
    """W8: a Pod copied from a running one names its slice; it never gets it."""
    copied = pod("copy", admitted=False, asks=asks, annotations={names.ALLOCATION_ANNOTATION: ALLOCATION})
    with pytest.raises(Forbidden, match="only the allocator writes the annotation"):
        await admin.create(PODS, copied)


@pytest.mark.parametrize("key", [names.ALLOCATION_ANNOTATION, names.REQUEST_ANNOTATION])
@pytest.mark.parametrize("subresource", [True, False])
async def test_a_binding_carries_no_annotation_of_ours(admin: Api, gated: str, key: str, *, subresource: bool) -> None:
    """A Binding's annotations are copied to its Pod."""
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": gated, "namespace": "default", "annotations": {key: ALLOCATION}},
        "target": {"kind": "Node", "name": "n1"},
    }
    path = f"pods/{gated}/binding" if subresource else "bindings"
    with pytest.raises(Forbidden, match=re.escape(names.GROUP)):
        await admin.transport.call(Request("POST", f"/api/v1/namespaces/default/{path}", body=binding), timeout_s=10)


@pytest.mark.parametrize("value", ['{"main":"7g.80gb"}', "", None])
async def test_a_request_never_changes(admin: Api, allocator: Api, gated: str, value: str | None) -> None:
    """W9: what was asked for is settled at creation, whoever writes."""
    for api in (admin, allocator):
        with pytest.raises(Forbidden, match="mig-request never changes"):
            await merge(api, gated, {"metadata": {"annotations": {names.REQUEST_ANNOTATION: value}}})


@pytest.mark.parametrize("value", ["false", None])
async def test_our_label_never_changes(admin: Api, gated: str, value: str | None) -> None:
    """A Pod without it would be out of the allocator's sight."""
    with pytest.raises(Forbidden, match="never changes after a Pod's creation; the allocator"):
        await merge(admin, gated, {"metadata": {"labels": {names.POD_LABEL: value}}})


async def test_our_marks_are_not_for_pods_that_ask_for_no_slice(admin: Api) -> None:
    """Nobody would ever let such a Pod past the gate."""
    with pytest.raises(Forbidden, match="only a Pod that asks for"):
        await admin.create(PODS, pod("idle", asks=False))
    plain = await admin.create(PODS, pod("plain", admitted=False, asks=False))
    with pytest.raises(Forbidden, match="never changes"):
        await merge(admin, "plain", {"metadata": {"labels": {names.POD_LABEL: "true"}}})
    await admin.delete(PODS, plain["metadata"]["name"], namespace="default", grace_period_s=0)


async def test_unrelated_edits_of_our_pods_pass(admin: Api, gated: str) -> None:
    """Controllers and users go on with their own business: labels, annotations, finalizers, conditions, deletion."""
    await merge(admin, gated, {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}})
    await merge(admin, gated, {"metadata": {"finalizers": ["example.com/hold"]}})
    await merge(admin, gated, {"status": {"conditions": [{"type": "Other", "status": "True"}]}}, "status")
    await admin.delete(PODS, gated, namespace="default", grace_period_s=0)
    await merge(admin, gated, {"metadata": {"finalizers": None}})
    await admin.create(PODS, pod(gated))


async def test_pods_that_never_asked_for_a_slice_are_not_touched(admin: Api) -> None:
    """Invariant 7: created, edited, deleted as ever, with every one of our processes down."""
    await admin.create(PODS, pod("plain", admitted=False, asks=False))
    await merge(admin, "plain", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    await merge(admin, "plain", {"spec": {"activeDeadlineSeconds": 60}})
    await merge(admin, "plain", {"status": {"phase": "Failed"}}, "status")
    await admin.delete(PODS, "plain", namespace="default", grace_period_s=0)


async def test_no_slice_is_added_later(admin: Api) -> None:
    """W6: the API server itself lets neither an ephemeral container nor a resize ask for one."""
    await admin.create(PODS, pod("plain", admitted=False, asks=False))
    slices = {"limits": {"nvidia.com/mig-1g.10gb": "1"}, "requests": {"nvidia.com/mig-1g.10gb": "1"}}
    try:
        for subresource, spec in (
            (
                "ephemeralcontainers",
                {"ephemeralContainers": [{"name": "debug", "image": "busybox", "resources": slices}]},
            ),
            ("resize", {"containers": [{"name": "main", "image": "busybox", "resources": slices}]}),
        ):
            with pytest.raises(Invalid):
                await merge(admin, "plain", {"spec": spec}, subresource)
    finally:
        await admin.delete(PODS, "plain", namespace="default", grace_period_s=0)
