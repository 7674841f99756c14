"""Requests go to the paths under which the API server keeps things."""

import pytest

from kube.resource import LEASES, NODES, PODS, Resource


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path(namespace="a"), "/api/v1/namespaces/a/pods"),
        (PODS.path(namespace="a", name="p", subresource="status"), "/api/v1/namespaces/a/pods/p/status"),
        (NODES.path(name="n"), "/api/v1/nodes/n"),
        (NODES.path(namespace="ignored", name="n"), "/api/v1/nodes/n"),
        (LEASES.path(namespace="a", name="l"), "/apis/coordination.k8s.io/v1/namespaces/a/leases/l"),
    ],
)
def test_path_names_group_namespace_and_object(path: str, expected: str) -> None:
    assert path == expected


def test_names_are_escaped_so_that_they_never_reach_another_object() -> None:
    assert PODS.path(namespace="a", name="../b?x=1") == "/api/v1/namespaces/a/pods/..%2Fb%3Fx%3D1"


def test_a_namespaced_object_without_namespace_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="needs a namespace"):
        PODS.path(name="p")


def test_api_version_of_the_core_group_has_no_group() -> None:
    assert (PODS.api_version, LEASES.api_version) == ("v1", "coordination.k8s.io/v1")
    assert str(Resource("g", "v1", "things")) == "things.g/v1"
