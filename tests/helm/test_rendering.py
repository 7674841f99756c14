"""The chart renders with no values and with every pair of switches, and names what its processes look for (H1)."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest
import yaml

from schemas import check
from tests.support.chart import CHART, NAMESPACE, RenderError, named, render

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
WORKLOADS = {
    "webhook": ("Deployment", "webhook"),
    "allocator": ("Deployment", "allocator"),
    "nodeAgent": ("DaemonSet", "nodeagent"),
}
KEPT = {
    "ClusterRole", "ClusterRoleBinding", "ConfigMap", "CustomResourceDefinition", "MutatingWebhookConfiguration", "Role",
    "RoleBinding", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}  # fmt: skip


def switches(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, bool):
            yield (*path, key)
        elif isinstance(value, dict):
            yield from switches(value, (*path, key))


def setting(pairs: dict[tuple[str, ...], bool]) -> list[str]:
    return [f"--set={'.'.join(path)}={str(value).lower()}" for path, value in pairs.items()]


PAIRS = [
    dict(zip(pair, values, strict=True))
    for pair in combinations(switches(DEFAULTS), 2)
    for values in product((True, False), repeat=2)
]


def test_it_renders_with_no_values() -> None:
    """Nothing has to be set, and nothing but Kubernetes itself has to be there."""
    objects = render()
    groups = {item["apiVersion"].rpartition("/")[0] for item in objects}
    own = {"", "apps", "policy"} | {name for name in groups if name.endswith(".k8s.io")}
    assert groups == own
    assert {item["kind"] for item in objects} >= KEPT | {"Deployment", "DaemonSet", "Service"}


@pytest.mark.parametrize("pairs", PAIRS, ids=lambda pairs: " ".join(setting(pairs)).replace("--set=", ""))
def test_it_renders_with_each_pair_of_switches(pairs: dict[tuple[str, ...], bool]) -> None:
    """H1: a switch takes its workload away, and rights, policies and the CRD stay."""
    objects = render(*setting(pairs))
    kinds = {(item["kind"], item["metadata"]["name"]) for item in objects}
    for part, (kind, component) in WORKLOADS.items():
        assert ((kind, f"nos-mig-{component}") in kinds) == pairs.get((part, "enabled"), True)
    assert {kind for kind, _ in kinds} >= KEPT


def test_there_is_a_switch_for_each_workload() -> None:
    assert {path for path in switches(DEFAULTS) if path[1] == "enabled"} == {(part, "enabled") for part in WORKLOADS}


def test_namespaced_objects_say_their_namespace() -> None:
    """So that `helm template | kubectl apply` puts them where the policies look for their users."""
    cluster_scoped = {
        "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    for item in render():
        expected = None if item["kind"] in cluster_scoped else NAMESPACE
        assert item["metadata"].get("namespace") == expected, item["metadata"]["name"]


def test_the_webhook_is_asked_by_its_service_or_by_an_url() -> None:
    by_service = named(render(), "MutatingWebhookConfiguration", "nos-mig")["webhooks"][0]["clientConfig"]
    assert by_service == {
        "service": {"name": "nos-mig-webhook", "namespace": NAMESPACE, "path": "/mutate", "port": 443}
    }
    url = "https://127.0.0.1:9443/mutate"
    by_url = named(render(f"--set=webhook.url={url}"), "MutatingWebhookConfiguration", "nos-mig")
    assert by_url["webhooks"][0]["clientConfig"] == {"url": url}


def test_the_webhook_sees_the_creation_of_pods_and_nothing_else() -> None:
    """Later edits and every other Pod are none of its business, and no namespace is a way round it."""
    [webhook] = named(render(), "MutatingWebhookConfiguration", "nos-mig")["webhooks"]
    assert webhook["name"] == "mig.nos.nebuly.com"
    [rule] = webhook["rules"]
    assert (rule["operations"], rule["resources"], rule["scope"]) == (["CREATE"], ["pods"], "Namespaced")
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["sideEffects"] == "None"
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    assert webhook["timeoutSeconds"] == 5
    assert not {"namespaceSelector", "objectSelector"} & set(webhook)


def test_the_geometries_of_the_values_are_the_overrides() -> None:
    entry = {"models": ["A30"], "allowedGeometries": [{"1g.6gb": 4}, {"1g.6gb": 2, "2g.12gb": 1}]}
    config_map = named(
        render(values={"gpuPartitioner": {"knownMigGeometries": [entry]}}), "ConfigMap", "nos-mig-geometries"
    )
    assert yaml.safe_load(config_map["data"]["overrides.yaml"]) == [entry]
    defaults = yaml.safe_load(config_map["data"]["defaults.yaml"])
    assert check("geometries", defaults) == []
    assert defaults == yaml.safe_load((CHART / "files" / "default-geometries.yaml").read_text(encoding="utf-8"))


def test_no_geometries_in_the_values_are_an_empty_list() -> None:
    assert yaml.safe_load(named(render(), "ConfigMap", "nos-mig-geometries")["data"]["overrides.yaml"]) == []


def agent_pod(*arguments: str) -> Any:
    return named(render(*arguments), "DaemonSet", "nos-mig-nodeagent")["spec"]["template"]["spec"]


def test_the_driver_is_mounted_only_where_it_is_not_the_nodes_own() -> None:
    def mounts(*arguments: str) -> set[str]:
        return {volume["name"] for volume in agent_pod(*arguments)["volumes"]}

    assert mounts("--set=nodeAgent.driverRoot=/run/nvidia/driver") - mounts() == {"driver"}
    assert mounts("--set=nodeAgent.deviceListStrategy=cdi-cri") - mounts() == {"cdi", "etc-cdi"}


@pytest.mark.parametrize(
    ("root", "mounted"),
    [("/run/nvidia/driver", "/run/nvidia"), ("/run/nvidia/driver/", "/run/nvidia"), ("/driver", "/driver")],
)
def test_a_driver_container_that_is_replaced_shows_through_the_folder_above(root: str, mounted: str) -> None:
    """A mount of the driver's root itself would go on showing the one that is gone; the node's whole root is never mounted."""
    pod = agent_pod(f"--set=nodeAgent.driverRoot={root}")
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "driver"]
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "driver"]
    assert volume["hostPath"]["path"] == mount["mountPath"] == mounted
    assert mount["mountPropagation"] == "HostToContainer"


def test_nvidias_own_cdi_description_is_within_reach() -> None:
    """The agent takes libraries over from the node's /etc/cdi, also where it writes its own description elsewhere."""
    pod = agent_pod("--set=nodeAgent.deviceListStrategy=cdi-cri")
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["/etc/cdi"] is True
    assert mounts["/var/run/cdi"] is False


def test_an_older_kubernetes_is_refused() -> None:
    """ValidatingAdmissionPolicy is v1 from 1.30 on; before, an install would leave the gate unguarded."""
    with pytest.raises(RenderError, match=r"requires kubeVersion: >=1\.30"):
        render("--kube-version=1.29.9")
    assert render("--kube-version=1.30.0")
