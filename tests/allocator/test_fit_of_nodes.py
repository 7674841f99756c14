"""A Pod goes only where it could run: handed over, Ready, not cordoned, tolerated, selected, with CPU and memory left."""

from dataclasses import replace
from typing import Any

import pytest

from allocator.facts import node_facts, pod_requests, wish_of
from allocator.placement.fit import misfit
from allocator.placement.fleet import HostPort, NodeView, Resources

NODE: dict[str, Any] = {
    "metadata": {
        "name": "n1",
        "uid": "u1",
        "labels": {"nos.nebuly.com/gpu-partitioning": "mig", "zone": "a", "gen": "7"},
    },
    "spec": {},
    "status": {
        "allocatable": {
            "cpu": "2",
            "memory": "4Gi",
            "pods": "10",
            "nvidia.com/mig-1g.10gb": "3",
            "example.com/fpga": "1",
        },
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def node(**spec: Any) -> NodeView:
    facts = node_facts(NODE | {"spec": spec})
    return NodeView(facts, facts.allocatable, ())


def fits(view: NodeView, *, requests: dict[str, str] | None = None, **spec: Any) -> str | None:
    container = {
        "name": "main",
        "resources": {"requests": requests or {}, "limits": {"nvidia.com/mig-1g.10gb": "1"}},
    }
    pod = {"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": {"containers": [container], **spec}}
    return misfit(wish_of(pod), view)


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeAffinity": required}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def test_an_undemanding_pod_fits() -> None:
    assert fits(node()) is None


def test_the_node_must_be_handed_over_ready_and_not_cordoned() -> None:
    facts = node().facts
    assert fits(replace(node(), facts=replace(facts, labels={}))) == "not handed over"
    assert fits(replace(node(), facts=replace(facts, ready=False))) == "not Ready"
    assert fits(node(unschedulable=True)) == "cordoned"


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_taints_must_be_tolerated(toleration: dict[str, str], *, tolerated: bool) -> None:
    tainted = node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    assert fits(tainted) == "with untolerated taint gpu"
    assert (fits(tainted, tolerations=[toleration]) is None) is tolerated


def test_a_preference_is_no_obstacle() -> None:
    assert fits(node(taints=[{"key": "slow", "effect": "PreferNoSchedule"}])) is None


@pytest.mark.parametrize(
    ("terms", "matches"),
    [
        ([expression("zone", "In", "a", "b")], True),
        ([expression("zone", "In", "b")], False),
        ([expression("zone", "In", "b"), expression("gen", "Gt", "6")], True),
        ([expression("gen", "Lt", "7")], False),
        ([expression("rack", "NotIn", "x")], True),
        ([expression("rack", "Exists")], False),
        ([expression("rack", "DoesNotExist")], True),
        ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}], True),
        ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}], False),
        ([{}], False),
        ([], False),
    ],
)
def test_required_affinity_is_evaluated_as_the_scheduler_does(terms: list[dict[str, Any]], *, matches: bool) -> None:
    assert (fits(node(), affinity=affinity(*terms)) is None) is matches


def test_a_node_selector_must_match() -> None:
    assert fits(node(), nodeSelector={"zone": "a"}) is None
    assert fits(node(), nodeSelector={"zone": "b"}) == "not matching the nodeSelector"


@pytest.mark.parametrize(
    ("requests", "short"),
    [({"cpu": "2001m"}, "cpu"), ({"memory": "5Gi"}, "memory"), ({"example.com/fpga": "2"}, "example.com/fpga")],
)
def test_what_is_short_is_named(requests: dict[str, str], short: str) -> None:
    assert fits(node(), requests=requests) == f"with insufficient {short}"
    assert fits(replace(node(), free=Resources())) == "with insufficient pods"


def test_host_ports_clash_by_port_protocol_and_address() -> None:
    view = replace(node(), used_ports=(HostPort(80, "TCP", "10.0.0.1"),))
    ports: list[dict[str, Any]] = [{"hostPort": 80, "containerPort": 80}]
    pod = {
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"containers": [{"name": "c", "ports": ports}]},
    }
    assert misfit(wish_of(pod), view) == "without a free host port"
    ports[0] |= {"hostIP": "10.0.0.2"}
    assert misfit(wish_of(pod), view) is None


def test_requests_are_the_schedulers_effective_ones() -> None:
    """W6: sidecars add to what runs, plain init containers only to the peak; overhead and Pod-level amounts count."""

    def container(cpu: str, **more: str) -> dict[str, Any]:
        return {"name": cpu, "resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [container("100m", restartPolicy="Always"), container("3")],
        "containers": [container("1"), container("500m")],
        "overhead": {"memory": "1Mi"},
    }
    assert pod_requests(spec) == Resources(3100, 2**20, 1)
    assert pod_requests({**spec, "resources": {"requests": {"cpu": "4"}}}).milli_cpu == 4000


def test_our_own_resources_are_not_counted_as_the_nodes_others() -> None:
    facts = node().facts
    assert facts.mig_allocatable == {"nvidia.com/mig-1g.10gb": 3}
    assert facts.allocatable.other == {"example.com/fpga": 1}
