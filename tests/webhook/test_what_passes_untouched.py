"""Whoever does not create a Pod that asks for a MIG device never notices us."""

from typing import Any

import pytest

from tests.support.admission import ONE, container, pod, request
from webhook.verdict import Allowed, verdict

MIG = container("main", {ONE: "1"})
ELSEWHERE = {"group": "apps", "version": "v1", "kind": "Pod"}
BINDING = {"group": "", "version": "v1", "kind": "Binding"}


@pytest.mark.parametrize(
    "asked",
    [
        request(pod(container("main"))),
        request(pod(container("main", {"cpu": "1", "nvidia.com/gpu": "8", "nvidia.com/migx": "1"}), nodeName="n")),
        request(pod(container("main", {ONE: "0"}))),
        request(None, operation="DELETE", oldObject=pod(MIG)),
        request(pod(MIG), operation="UPDATE", oldObject=pod(MIG)),
        request(pod(MIG), operation="CONNECT"),
        request(pod(MIG), subResource="ephemeralcontainers"),
        request(pod(MIG), kind=ELSEWHERE),
        request({"target": {"name": "n"}}, kind=BINDING, subResource="binding"),
    ],
    ids=["no resources", "others", "zero", "DELETE", "UPDATE", "CONNECT", "subresource", "another Pod", "Binding"],
)
def test_it_is_allowed_unchanged(asked: dict[str, Any]) -> None:
    """W12 for DELETE with `object: null`; the others by invariant 7."""
    assert verdict(asked) == Allowed()


def test_a_mirror_pod_is_left_as_it_is() -> None:
    """W14: the kubelet runs a static Pod whatever its mirror says, and compares the two."""
    metadata = {"name": "static-n", "annotations": {"kubernetes.io/config.mirror": "abc"}}
    assert verdict(request(pod(container("main", {ONE: "2"}), metadata=metadata, nodeName="n"))) == Allowed()


@pytest.mark.parametrize("dry_run", [True, False, None])
def test_a_dry_run_gets_the_same_verdict(*, dry_run: bool | None) -> None:
    """W10."""
    assert verdict(request(pod(MIG), dryRun=dry_run)) == verdict(request(pod(MIG)))
