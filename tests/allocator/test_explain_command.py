"""`nos-mig explain` as a user runs it, on a real API server, beside the real allocator: what it says is what then happens."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.cluster import Cluster
from kube.client import Api
from kube.resource import CONFIG_MAPS, LEASES, PODS, Resource
from mig.demand import allocation_from_annotation
from mig.names import ALLOCATION_ANNOTATION, CONDITION
from tests.allocator.onserver import GPU, allocator, chart_cluster, eventually, is_let_go, make_node, small_pod, until
from tests.support.chart import NAMESPACE

pytestmark = pytest.mark.timeout(180)

CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", namespaced=False)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with chart_cluster("nos-mig-explain") as running:
        yield running


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[Api]:
    async with Api.connect(cluster.kubeconfig, user_agent="test-admin") as api:
        yield api


@dataclass(frozen=True)
class Said:
    """What a run left behind."""

    status: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as a document."""
        return json.loads(self.out)


async def explained(kubeconfig: Path, *words: str) -> Said:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "cli", "explain", *words, "--kubeconfig", str(kubeconfig)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return Said(process.returncode, out.decode(), err.decode())


async def _is_known(api: Api, name: str) -> bool:
    pod = await api.get(PODS, name, namespace="default")
    return any(item["type"] == CONDITION for item in pod["status"].get("conditions") or ())


async def _has_learned(api: Api, *profiles: str) -> bool:
    lease = await api.get(LEASES, "nos-mig-allocator", namespace=NAMESPACE)
    text = (lease["metadata"].get("annotations") or {}).get("nos.nebuly.com/placement-mix", "{}")
    learned: set[str] = set(json.loads(text).get("arrivals", {}))
    return learned >= set(profiles)


async def test_on_a_cluster_where_nothing_is_handed_over_it_says_what_to_do(cluster: Cluster, admin: Api) -> None:
    await admin.create(PODS, small_pod("early", "1g.10gb", nodeSelector={"name": "nowhere"}))
    said = await explained(cluster.kubeconfig, "early")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "default/early waits for 1g.10gb; if it is decided now:"
    assert lines[1].startswith("refused: NoSuchProfile: no node is handed over; label one: kubectl label nodes ")
    assert any(line.startswith("note: no allocator has led here yet") for line in lines)
    await admin.delete(PODS, "early", namespace="default")


async def test_a_pod_that_waits_goes_where_it_was_said_and_then_its_place_is_told(
    cluster: Cluster, admin: Api, tmp_path: Path
) -> None:
    """Nobody leads while it is asked; the next leader decides the same, with the demand that the last one learned."""
    await make_node(admin, "n1")
    async with allocator(cluster, tmp_path, "first"):
        await admin.create(PODS, small_pod("seed", "3g.40gb"))
        await until(admin, "n1", is_let_go, "seed")
        await eventually(lambda: _has_learned(admin, "3g.40gb"))
    await admin.create(PODS, small_pod("a", "2g.20gb"))
    said = await explained(cluster.kubeconfig, "pod/a", "-n", "default", "-o", "json")
    assert (said.status, said.json["state"], said.json["notes"]) == (0, "waiting", [])
    (foretold,) = said.json["decision"]["chosen"]["slices"]
    assert said.json["decision"]["beside"] is not None
    async with allocator(cluster, tmp_path, "second"):
        pod = await until(admin, "n1", is_let_go, "a")
    (place,) = allocation_from_annotation(pod["metadata"]["annotations"][ALLOCATION_ANNOTATION]).values()
    assert (place.node, place.gpu, place.start) == ("n1", foretold["gpu"], foretold["start"])
    then = await explained(cluster.kubeconfig, "a")
    assert then.out.splitlines()[0].startswith(f"default/a has 2g.20gb at {place.start} on {GPU} of n1")
    assert then.out.splitlines()[1] == "  the best place there is without it"


async def test_a_refusal_is_the_one_that_the_allocator_writes_to_the_pod(
    cluster: Cluster, admin: Api, tmp_path: Path
) -> None:
    async with allocator(cluster, tmp_path, "third"):
        await admin.create(PODS, small_pod("big", "7g.80gb"))
        await eventually(lambda: _is_known(admin, "big"))
    pod = await admin.get(PODS, "big", namespace="default")
    (told,) = [item for item in pod["status"]["conditions"] if item["type"] == CONDITION]
    said = await explained(cluster.kubeconfig, "big", "--output", "json")
    assert said.json["decision"]["refusal"] == {"reason": told["reason"], "message": told["message"]}
    assert said.json["told"] == {"reason": told["reason"], "message": told["message"]}


async def test_reading_is_all_that_it_needs(cluster: Cluster, admin: Api) -> None:
    """With get and list of what it names, and nothing more; without them it says which right is missing and which it needs."""
    cluster.kubectl("create", "serviceaccount", "reader", "--namespace", "default")
    reader = cluster.service_account_kubeconfig("default", "reader")
    await admin.create(PODS, small_pod("asked", "1g.10gb"))
    without = await explained(reader, "asked")
    assert (without.status, without.out) == (2, "")
    assert "nos-mig explain: " in without.err
    assert "needs get and list of pods, nodes, configmaps, leases and migspecs.nos.nebuly.com" in without.err
    await _grant(admin)
    said = await explained(reader, "asked", "--release-namespace", NAMESPACE)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("default/asked waits for 1g.10gb, behind 1 Pod; if it is decided now:\n")
    assert "note:" not in said.out


async def _grant(admin: Api) -> None:
    """Reading of Pods, Nodes and MigSpecs everywhere, of ConfigMaps and Leases in the release's namespace."""
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]
    verbs = ["get", "list"]
    await admin.create(
        CLUSTER_ROLES,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "explain"},
            "rules": [
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": verbs},
                {"apiGroups": ["nos.nebuly.com"], "resources": ["migspecs"], "verbs": verbs},
            ],
        },
    )
    await admin.create(
        ROLES,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "explain", "namespace": NAMESPACE},
            "rules": [
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs},
            ],
        },
    )
    for resource, kind, metadata in (
        (CLUSTER_ROLE_BINDINGS, "ClusterRole", {"name": "explain"}),
        (ROLE_BINDINGS, "Role", {"name": "explain", "namespace": NAMESPACE}),
    ):
        await admin.create(
            resource,
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": f"{kind}Binding",
                "metadata": metadata,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "explain"},
                "subjects": subjects,
            },
        )


async def test_the_geometries_in_force_are_those_of_the_release(cluster: Cluster, admin: Api) -> None:
    """What forbids, what is broken and left out, and which ConfigMap counts where there are two."""
    await admin.create(PODS, small_pod("narrowed", "1g.10gb"))
    await _override(admin, '- models: ["A100"]\n  allowedGeometries: [{"7g.80gb": 1}]\n')
    said = await explained(cluster.kubeconfig, "narrowed", "-o", "json")
    assert said.json["decision"]["refusal"]["reason"] == "GeometryForbids"
    await _override(admin, "nonsense")
    said = await explained(cluster.kubeconfig, "narrowed", "-o", "json")
    assert said.json["decision"]["chosen"]["node"] == "n1"
    (note,) = said.json["notes"]
    assert note.startswith("the ConfigMap nos-mig-geometries has mistakes, what is wrong is left out: overrides.yaml")
    await _override(admin, "")
    second = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "nos-mig-geometries", "namespace": "default"},
    }
    await admin.create(CONFIG_MAPS, second)
    said = await explained(cluster.kubeconfig, "narrowed")
    assert (said.status, said.out) == (2, "")
    assert "there are ConfigMaps nos-mig-geometries in default, nos-mig; name the release's namespace" in said.err
    said = await explained(cluster.kubeconfig, "narrowed", "--release-namespace", NAMESPACE)
    assert said.status == 0
    await admin.delete(CONFIG_MAPS, "nos-mig-geometries", namespace="default")


async def _override(admin: Api, text: str) -> None:
    await admin.merge_patch(CONFIG_MAPS, "nos-mig-geometries", {"data": {"overrides.yaml": text}}, namespace=NAMESPACE)


async def test_pods_for_which_nothing_is_decided_are_told_so_in_plain_words(cluster: Cluster, admin: Api) -> None:
    plain = small_pod("plain", gates=())
    await admin.create(PODS, {**plain, "metadata": {"name": "plain", "namespace": "default"}})
    said = await explained(cluster.kubeconfig, "plain")
    assert (said.status, said.out) == (0, "default/plain asks for no MIG slice; nos-mig leaves it alone\n")
    await admin.create(PODS, small_pod("done", "1g.10gb"))
    await admin.merge_patch(PODS, "done", {"status": {"phase": "Succeeded"}}, namespace="default", subresource="status")
    said = await explained(cluster.kubeconfig, "done", "-o", "json")
    assert (said.status, said.json["state"]) == (0, "finished")
    said = await explained(cluster.kubeconfig, "nobody")
    assert (said.status, said.out) == (1, "")
    assert said.err == "nos-mig explain: there is no Pod nobody in the namespace default\n"


async def test_what_only_the_user_can_put_right_is_one_line(tmp_path: Path) -> None:
    said = await explained(tmp_path / "missing", "a")
    assert said.status == 2
    assert said.err.startswith("nos-mig explain: ")
    assert len(said.err.splitlines()) == 1
    said = await explained(tmp_path / "missing", "deployment/a")
    assert said.status == 2
    assert "'deployment/a' is no Pod; give the name of one of its Pods" in said.err
