"""Each component may do what is in its table and nothing beside it, asked of a real API server's authorizer (H6)."""

from typing import Any

import pytest

from kube.client import Api
from kube.errors import Forbidden
from kube.resource import CONFIG_MAPS, MUTATING_WEBHOOK_CONFIGURATIONS, SECRETS, Resource
from tests.support.chart import NAMESPACE

REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)

# Component, verb, "resource.group" (or "resource/subresource"), namespace, name ("*": any).
ALLOWED = [
    ("webhook", "get", "secrets", NAMESPACE, "nos-mig-webhook-certificates"),
    ("webhook", "watch", "secrets", NAMESPACE, "nos-mig-webhook-certificates"),
    ("webhook", "update", "secrets", NAMESPACE, "nos-mig-webhook-certificates"),
    ("webhook", "create", "secrets", NAMESPACE, ""),
    ("webhook", "patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "nos-mig"),
    ("allocator", "patch", "pods", "anywhere", "p"),
    ("allocator", "patch", "pods/status", "anywhere", "p"),
    ("allocator", "watch", "pods", "", ""),
    ("allocator", "patch", "nodes", "", "n1"),
    ("allocator", "create", "migspecs.nos.nebuly.com", "", ""),
    ("allocator", "delete", "migspecs.nos.nebuly.com", "", "n1"),
    ("allocator", "create", "leases.coordination.k8s.io", NAMESPACE, ""),
    ("allocator", "update", "leases.coordination.k8s.io", NAMESPACE, "nos-mig-allocator"),
    ("allocator", "watch", "configmaps", NAMESPACE, "nos-mig-geometries"),
    ("allocator", "create", "events.events.k8s.io", "anywhere", ""),
    ("nodeagent", "watch", "migspecs.nos.nebuly.com", "", "n1"),
    ("nodeagent", "patch", "migspecs/status.nos.nebuly.com", "", "n1"),
    ("nodeagent", "patch", "nodes/status", "", "n1"),
    ("nodeagent", "list", "pods", "", ""),
    ("nodeagent", "patch", "events.events.k8s.io", "default", "e"),
]
DENIED = [
    ("webhook", "get", "secrets", NAMESPACE, "somebody-elses"),
    ("webhook", "list", "secrets", NAMESPACE, ""),
    ("webhook", "get", "secrets", "kube-system", "nos-mig-webhook-certificates"),
    ("webhook", "delete", "secrets", NAMESPACE, "nos-mig-webhook-certificates"),
    ("webhook", "patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "somebody-elses"),
    ("webhook", "delete", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "nos-mig"),
    ("webhook", "get", "pods", "default", "p"),
    ("webhook", "get", "migspecs.nos.nebuly.com", "", "n1"),
    ("allocator", "create", "pods", "default", ""),
    ("allocator", "delete", "pods", "default", "p"),
    ("allocator", "create", "pods/binding", "default", "p"),
    ("allocator", "patch", "nodes/status", "", "n1"),
    ("allocator", "delete", "nodes", "", "n1"),
    ("allocator", "patch", "migspecs/status.nos.nebuly.com", "", "n1"),
    ("allocator", "get", "secrets", NAMESPACE, "nos-mig-webhook-certificates"),
    ("allocator", "update", "configmaps", NAMESPACE, "nos-mig-geometries"),
    ("allocator", "get", "configmaps", "kube-system", "kube-root-ca.crt"),
    ("allocator", "update", "leases.coordination.k8s.io", "kube-system", "kube-scheduler"),
    ("allocator", "update", "leases.coordination.k8s.io", NAMESPACE, "somebody-elses"),
    ("nodeagent", "patch", "migspecs.nos.nebuly.com", "", "n1"),
    ("nodeagent", "create", "migspecs.nos.nebuly.com", "", ""),
    ("nodeagent", "delete", "migspecs.nos.nebuly.com", "", "n1"),
    ("nodeagent", "patch", "nodes", "", "n1"),
    ("nodeagent", "patch", "pods", "default", "p"),
    ("nodeagent", "patch", "pods/status", "default", "p"),
    ("nodeagent", "delete", "pods", "default", "p"),
    ("nodeagent", "get", "secrets", NAMESPACE, "nos-mig-webhook-certificates"),
    ("nodeagent", "create", "pods/exec", "default", "p"),
    ("nodeagent", "create", "serviceaccounts/token", NAMESPACE, "nos-mig-allocator"),
]
Ask = tuple[str, str, str, str, str]


async def allowed(api: Api, ask: Ask) -> bool:
    component, verb, what, namespace, name = ask
    path, _, group = what.partition(".")
    resource, _, subresource = path.partition("/")
    attributes = {"verb": verb, "resource": resource, "subresource": subresource, "group": group}
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:nos-mig-{component}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
            "resourceAttributes": {**attributes, "namespace": namespace, "name": name},
        },
    }
    return bool((await api.create(REVIEWS, review))["status"]["allowed"])


@pytest.mark.parametrize("ask", ALLOWED, ids=" ".join)
async def test_what_a_component_needs_is_allowed(admin: Api, ask: Ask) -> None:
    assert await allowed(admin, ask)


@pytest.mark.parametrize("ask", DENIED, ids=" ".join)
async def test_everything_else_is_denied(admin: Api, ask: Ask) -> None:
    """H6: what a stolen token of one component would be worth."""
    assert not await allowed(admin, ask)


async def test_one_named_object_can_be_watched_without_a_right_to_the_others(webhook: Api, allocator: Api) -> None:
    """The lists that our watches begin with: by name they are allowed, without a name they are not."""
    for api, resource, name in (
        (webhook, SECRETS, "nos-mig-webhook-certificates"),
        (webhook, MUTATING_WEBHOOK_CONFIGURATIONS, "nos-mig"),
        (allocator, CONFIG_MAPS, "nos-mig-geometries"),
    ):
        await api.list(resource, namespace=NAMESPACE, field_selector=f"metadata.name={name}")
        with pytest.raises(Forbidden):
            await api.list(resource, namespace=NAMESPACE)


@pytest.mark.parametrize("component", ["webhook", "allocator", "nodeagent"])
async def test_no_right_is_a_wildcard(admin: Api, component: str) -> None:
    roles = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", namespaced=False)
    role = await admin.get(roles, f"nos-mig-{component}")
    assert "*" not in [word for rule in role["rules"] for words in rule.values() for word in words]
