"""The chart's life on a real API server: strict validity, a dead webhook, upgrade, second release, uninstall (H1, H4, H5, W19)."""

import asyncio
import json
from typing import Any

import pytest
import yaml

from cluster.cluster import Cluster
from cluster.errors import CommandError
from kube.client import Api
from kube.errors import ApiError, NotFound
from kube.resource import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    PODS,
    VALIDATING_ADMISSION_POLICIES,
    Resource,
)
from mig import names
from tests.support.chart import CHART, NAMESPACE, NOBODY, SETTLE_S, install, render

MIGSPECS = Resource(names.GROUP, names.VERSION, names.PLURAL, namespaced=False)


def pod(name: str, resource: str, *, kind: str = "containers", amounts: str = "limits") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox"}]}
    asking = {"name": "asks", "image": "busybox", "resources": {amounts: {resource: "1"}}}
    spec.setdefault(kind, []).append(asking)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--set=nodeAgent.privileged=true,nodeAgent.driverRoot=/run/nvidia/driver,nodeAgent.runtimeClassName=nvidia",),
        ("--set=webhook.replicas=1,image.pullSecrets[0].name=registry,webhook.url=https://192.0.2.1/mutate",),
    ],
)
def test_the_api_server_takes_every_object_strictly(cluster: Cluster, arguments: tuple[str, ...]) -> None:
    """H1: no field that it does not know, no value that it does not take."""
    fresh = [item for item in render(*arguments) if item["kind"] != "CustomResourceDefinition"]
    for item in fresh:
        item["metadata"]["name"] += "-strict"
    manifests = "---\n".join(yaml.safe_dump(item) for item in fresh)
    created = cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=manifests)
    assert len(created.splitlines()) == len(fresh)
    cluster.kubectl("replace", "--dry-run=server", "--validate=strict", "-f", str(CHART / "templates" / "crd"))


async def test_no_policy_has_a_type_warning(admin: Api) -> None:
    """The API server checks each expression against each kind it will see, and says what could fail."""
    async with asyncio.timeout(SETTLE_S):
        for name in ("nos-mig-nodeagent", "nos-mig-allocation", "nos-mig-request"):
            checked = None
            while checked is None:
                policy = await admin.get(VALIDATING_ADMISSION_POLICIES, name)
                checked = policy.get("status", {}).get("typeChecking")
                await asyncio.sleep(0.1)
            assert checked == {}, name


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize("amounts", ["limits", "requests"])
async def test_with_the_webhook_down_pods_that_ask_for_a_slice_are_refused(admin: Api, kind: str, amounts: str) -> None:
    """W19: with an error that names the webhook; a profile that nobody offers counts, too."""
    asking = pod("asking", "nvidia.com/mig-no-such-profile", kind=kind, amounts=amounts)
    with pytest.raises(ApiError, match=r"failed calling webhook .*mig\.nos\.nebuly\.com"):
        await admin.create(PODS, asking)


@pytest.mark.parametrize("resource", ["cpu", "nvidia.com/gpu", "nvidia.com/migs", "example.com/mig-1g.10gb"])
async def test_with_the_webhook_down_all_other_pods_are_created(admin: Api, resource: str) -> None:
    """W19, invariant 7: they never reach it."""
    created = await admin.create(PODS, pod("other", resource))
    await admin.delete(PODS, created["metadata"]["name"], namespace="default", grace_period_s=0)


@pytest.mark.parametrize("spec", [{}, {"containers": None}, {"containers": None, "initContainers": None}])
async def test_a_malformed_pod_gets_the_api_servers_own_message(admin: Api, spec: dict[str, Any]) -> None:
    """The match condition does not fail where lists are missing."""
    broken = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "broken", "namespace": "default"}, "spec": spec}
    with pytest.raises(ApiError, match=r"spec\.containers: Required value"):
        await admin.create(PODS, broken)


async def test_an_upgrade_keeps_what_the_webhook_wrote(cluster: Cluster, webhook: Api, admin: Api) -> None:
    """T5: the bundle that the webhook patched in, with its own rights, is not the chart's to reset."""
    bundle = certificate(cluster)
    operation = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}]
    await webhook.json_patch(MUTATING_WEBHOOK_CONFIGURATIONS, "nos-mig", operation)
    entry = {"models": ["A30"], "allowedGeometries": [{"4g.24gb": 1}]}
    geometries = f"gpuPartitioner.knownMigGeometries={json.dumps([entry])}"
    upgrade(cluster, "--set=webhook.timeoutSeconds=7", "--set-json", geometries)
    [stored] = (await admin.get(MUTATING_WEBHOOK_CONFIGURATIONS, "nos-mig"))["webhooks"]
    assert stored["timeoutSeconds"] == 7
    assert stored["clientConfig"] == {"url": NOBODY, "caBundle": bundle}
    config_map = await admin.get(CONFIG_MAPS, "nos-mig-geometries", namespace=NAMESPACE)
    assert yaml.safe_load(config_map["data"]["overrides.yaml"]) == [entry]


async def test_an_upgrade_moves_the_webhook_between_its_service_and_an_url(cluster: Cluster, admin: Api) -> None:
    for url, key in (("", "service"), (NOBODY, "url")):
        upgrade(cluster, f"--set=webhook.url={url}")
        [stored] = (await admin.get(MUTATING_WEBHOOK_CONFIGURATIONS, "nos-mig"))["webhooks"]
        assert set(stored["clientConfig"]) - {"caBundle"} == {key}


def certificate(cluster: Cluster) -> str:
    """Any real certificate, in the encoding of a kubeconfig: the cluster's own authority."""
    config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    return str(config["clusters"][0]["cluster"]["certificate-authority-data"])


def upgrade(cluster: Cluster, *arguments: str) -> None:
    cluster.helm("upgrade", "nos-mig", str(CHART), "--namespace", NAMESPACE, "--reuse-values", *arguments)


def test_a_second_release_is_refused_with_its_reason(cluster: Cluster) -> None:
    """H5: there is one partitioner in a cluster."""
    with pytest.raises(CommandError, match=r'invalid ownership metadata.*current value is \\"nos-mig'):
        cluster.helm("install", "another", str(CHART), "--namespace", "elsewhere", "--create-namespace")


async def test_uninstalling_keeps_migspecs_and_frees_pods(cluster: Cluster, admin: Api) -> None:
    """H4: with the allocator dead as well; what is kept is taken over by the next install."""
    kept = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "kept"},
        "spec": {"leaderEpoch": 3},
    }
    await admin.create(MIGSPECS, kept)
    cluster.helm("uninstall", "nos-mig", "--namespace", NAMESPACE, "--wait")
    assert (await admin.get(MIGSPECS, "kept"))["spec"] == {"leaderEpoch": 3}
    await created_at_last(admin, pod("asking", "nvidia.com/mig-1g.10gb"))
    with pytest.raises(NotFound):
        await admin.get(VALIDATING_ADMISSION_POLICIES, "nos-mig-allocation")
    install(cluster, "--set", f"webhook.url={NOBODY}")
    assert await admin.get(CUSTOM_RESOURCE_DEFINITIONS, "migspecs.nos.nebuly.com")
    assert (await admin.get(MIGSPECS, "kept"))["spec"] == {"leaderEpoch": 3}
    await admin.delete(PODS, "asking", namespace="default", grace_period_s=0)
    await admin.delete(MIGSPECS, "kept")


async def created_at_last(api: Api, obj: dict[str, Any]) -> None:
    """The API server takes a moment to forget the webhook."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            try:
                await api.create(PODS, obj)
            except ApiError:
                await asyncio.sleep(0.1)
            else:
                return
