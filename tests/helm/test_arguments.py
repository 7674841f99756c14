"""What the chart tells each process is what that process understands, and the names it is not told are the chart's."""

import argparse
import importlib
from typing import Any

import pytest

from cli.main import COMPONENTS
from nodeagent.inspection import main as inspection
from tests.support.chart import NAMESPACE, named, render

WORKLOADS = [("Deployment", "webhook"), ("Deployment", "allocator"), ("DaemonSet", "nodeagent")]
EVERY_VALUE = (
    "--set=log.format=text,log.level=debug",
    "--set=nodeAgent.driverRoot=/run/nvidia/driver,nodeAgent.kubeletDir=/data/kubelet,nodeAgent.stateDir=/data/nos-mig",
    "--set=nodeAgent.devicePluginDir=/data/plugins",
)


def container(kind: str, component: str, *arguments: str) -> dict[str, Any]:
    [only] = named(render(*arguments), kind, f"nos-mig-{component}")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def parsed(kind: str, component: str, *arguments: str) -> argparse.Namespace:
    told = container(kind, component, *arguments)
    assert told["command"] == ["nos-mig", component]
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(COMPONENTS[component][0]).add_arguments(parser)
    return parser.parse_args(told["args"])


@pytest.mark.parametrize("arguments", [(), EVERY_VALUE], ids=["no values", "every value"])
@pytest.mark.parametrize(("kind", "component"), WORKLOADS)
def test_every_argument_is_understood(kind: str, component: str, arguments: tuple[str, ...]) -> None:
    args = parsed(kind, component, *arguments)
    assert args.namespace == NAMESPACE
    assert args.kubeconfig is None


@pytest.mark.parametrize(("kind", "component"), WORKLOADS)
def test_the_ports_and_probes_are_those_that_the_process_listens_on(kind: str, component: str) -> None:
    args = parsed(kind, component)
    told = container(kind, component)
    ports = {port["name"]: port["containerPort"] for port in told["ports"]}
    assert ports["health"] == args.health_port
    assert ports.get("https") == getattr(args, "port", None)
    assert {told[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")} == {
        "health"
    }


def test_names_that_a_process_assumes_are_the_charts() -> None:
    objects = render()
    webhook = parsed("Deployment", "webhook")
    assert named(objects, "Service", webhook.service)
    assert named(objects, "MutatingWebhookConfiguration", webhook.webhook_configuration)
    rules = named(objects, "Role", "nos-mig-webhook")["rules"]
    assert [webhook.secret] in [rule.get("resourceNames") for rule in rules]
    allocator = parsed("Deployment", "allocator")
    assert named(objects, "ConfigMap", allocator.geometries)
    rules = named(objects, "Role", "nos-mig-allocator")["rules"]
    assert [allocator.lease] in [rule.get("resourceNames") for rule in rules]


def test_the_agent_finds_its_folders_where_they_are_mounted() -> None:
    args = parsed("DaemonSet", "nodeagent", *EVERY_VALUE)
    told = container("DaemonSet", "nodeagent", *EVERY_VALUE)
    mounted = {mount["mountPath"] for mount in told["volumeMounts"]}
    assert mounted == {
        str(args.device_plugin_dir), str(args.pod_resources_socket.parent), str(args.state_dir),
        str(args.driver_root.parent),
    }  # fmt: skip
    assert args.host_dev == args.driver_root / "dev"


@pytest.mark.parametrize(
    "arguments", [(), (*EVERY_VALUE, "--set=nodeAgent.devicePlugin=nvidia")], ids=["no values", "every value"]
)
def test_inspect_in_the_agents_container_looks_where_the_agent_does(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the container's environment, so that `kubectl exec` needs no options."""
    agent = vars(parsed("DaemonSet", "nodeagent", *arguments))
    for variable in container("DaemonSet", "nodeagent", *arguments)["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "gpu-7"))
    parser = argparse.ArgumentParser(exit_on_error=False)
    inspection.add_arguments(parser)
    found = vars(parser.parse_args([]))
    assert found.pop("node_name") == "gpu-7"
    assert found.pop("output") == "text"
    assert found == {name: agent[name] for name in found}
    assert {*found, "node_name"} == {*inspection.VARIABLES, "kubeconfig"}


def test_the_agent_looks_at_the_nodes_own_device_nodes() -> None:
    """Those of its container are of the time when the container was made; slices come later."""
    args = parsed("DaemonSet", "nodeagent")
    told = named(render(), "DaemonSet", "nos-mig-nodeagent")["spec"]["template"]["spec"]
    [mount] = [each for each in told["containers"][0]["volumeMounts"] if each["mountPath"] == str(args.host_dev)]
    [volume] = [each for each in told["volumes"] if each["name"] == mount["name"]]
    assert volume["hostPath"]["path"] == str(args.device_root / "dev")
    assert mount["readOnly"]


def test_nvidias_plugin_is_found_however_it_was_installed() -> None:
    """By the labels of the GPU operator, of NVIDIA's chart and of its static manifest, unless others are named."""
    beside = "--set=nodeAgent.devicePlugin=nvidia"
    assert parsed("DaemonSet", "nodeagent", beside).nvidia_plugin_selectors == [
        "app in (nvidia-device-plugin-daemonset, nvidia-device-plugin)",
        "app.kubernetes.io/name=nvidia-device-plugin",
        "name=nvidia-device-plugin-ds",
    ]
    mine = "--set=nodeAgent.nvidiaDevicePlugin.selectors={app=my-plugin}"
    assert parsed("DaemonSet", "nodeagent", beside, mine).nvidia_plugin_selectors == ["app=my-plugin"]
