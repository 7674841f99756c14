"""With `nodeAgent.devicePlugin=nvidia` an agent may delete Pods of DaemonSets on its own node, and no other Pod (H6)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from demo.stack import NAMESPACE as OURS
from demo.stack import Stack
from kube.client import Api
from kube.errors import Forbidden
from kube.resource import NODES, PODS
from tests.nodeagent.nvidia.conftest import NODE
from tests.support.chart import named, refused, render
from tests.support.nvidia_plugin_daemonset import NAMESPACE

OWNER = {"apiVersion": "apps.example.com/v1", "kind": "DaemonSet", "name": "d", "uid": "made-up", "controller": True}
"""Of a group that is not served, so that neither the garbage collector nor the DaemonSet controller takes care of it."""

OTHER = "nvidia-rights-other"


@pytest.fixture
async def admin(node_stack: Stack) -> AsyncIterator[Api]:
    """Another Node beside that of the agent, by name alone: its Pods stay as they are made."""
    async with Api.connect(node_stack.cluster.kubeconfig, user_agent="test-admin") as api:
        await api.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": OTHER}})
        yield api
        for pod in (await api.list(PODS, label_selector="test=rights"))[0]:
            name, where = pod["metadata"]["name"], pod["metadata"]["namespace"]
            await api.delete(PODS, name, namespace=where, grace_period_s=0)
        await api.delete(NODES, OTHER)


@pytest.fixture
async def agent(node_stack: Stack, admin: Api) -> AsyncIterator[Api]:
    """The agent of the other Node: no kubelet meddles with its Pods."""
    path = node_stack.cluster.service_account_kubeconfig(OURS, "nos-mig-nodeagent", node=OTHER)
    async with Api.connect(path, user_agent="test-agent") as api:
        await pod(admin, "probe", node=NODE)
        await refused(lambda: api.delete(PODS, "probe", namespace=NAMESPACE))
        yield api


async def pod(
    admin: Api, name: str, *, node: str | None, namespace: str = NAMESPACE, owned: bool = True, limits: str = ""
) -> None:
    container: dict[str, Any] = {"name": "main", "image": "pretended"}
    if limits:
        container["resources"] = {"limits": {limits: "1"}}
    metadata = {"name": name, "labels": {"test": "rights"}, "ownerReferences": [OWNER] if owned else []}
    spec = {"containers": [container], "nodeName": node, "tolerations": [{"operator": "Exists"}]}
    await admin.create(
        PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, namespace=namespace
    )


async def test_a_plugins_pod_of_its_own_node_may_go(admin: Api, agent: Api) -> None:
    await pod(admin, "mine", node=OTHER)
    await agent.delete(PODS, "mine", namespace=NAMESPACE, grace_period_s=0)


async def test_a_pod_of_another_node_stays(agent: Api) -> None:
    with pytest.raises(Forbidden, match=f"this token is bound to {OTHER}, the Pod to {NODE}"):
        await agent.delete(PODS, "probe", namespace=NAMESPACE)


async def test_a_pod_that_no_daemon_set_makes_anew_stays(admin: Api, agent: Api) -> None:
    await pod(admin, "bare", node=OTHER, owned=False)
    with pytest.raises(Forbidden, match="Pods of DaemonSets alone"):
        await agent.delete(PODS, "bare", namespace=NAMESPACE)


async def test_a_pod_that_holds_a_gpu_stays(admin: Api, agent: Api) -> None:
    """NVIDIA's own Pods hold none."""
    await pod(admin, "worker", node=OTHER, limits="nvidia.com/gpu")
    with pytest.raises(Forbidden, match="no Pod that holds a GPU"):
        await agent.delete(PODS, "worker", namespace=NAMESPACE)


async def test_other_namespaces_are_out_of_reach(admin: Api, agent: Api) -> None:
    await pod(admin, "elsewhere", node=OTHER, namespace="default")
    with pytest.raises(Forbidden, match="cannot delete resource"):
        await agent.delete(PODS, "elsewhere", namespace="default")


def test_the_right_is_given_only_where_it_is_needed() -> None:
    """None with our own plugin; cluster-wide only where no namespace is named."""
    name = "nos-mig-nodeagent-nvidia-plugin"
    assert name not in {item["metadata"]["name"] for item in render()}
    wide = render("--set=nodeAgent.devicePlugin=nvidia")
    narrow = render("--set=nodeAgent.devicePlugin=nvidia,nodeAgent.nvidiaDevicePlugin.namespace=gpu-operator")
    assert named(wide, "ClusterRole", name)["rules"] == named(narrow, "Role", name)["rules"]
    assert named(narrow, "RoleBinding", name)["metadata"]["namespace"] == "gpu-operator"
    for objects in (wide, narrow):
        assert named(objects, "ValidatingAdmissionPolicyBinding", name)["spec"]["validationActions"] == ["Deny"]
