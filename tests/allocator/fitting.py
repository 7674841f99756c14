"""A node and a Pod as the API server has them, and whether the one takes the other."""

from typing import Any

from allocator.facts import node_facts, wish_of
from allocator.placement.fit import misfit
from allocator.placement.fleet import HostPort, NodeView

Json = dict[str, Any]

ALLOCATABLE = {
    "cpu": "2",
    "memory": "4Gi",
    "pods": "10",
    "ephemeral-storage": "10Gi",
    "hugepages-2Mi": "4Mi",
    "example.com/fpga": "1",
    "nvidia.com/mig-1g.10gb": "3",
}


def node(
    *, labels: dict[str, str] | None = None, allocatable: dict[str, str] | None = None, used: str = "", **spec: Any
) -> NodeView:
    """An idle node that is handed over; `used` is a host port in use, as `protocol|address|port`."""
    facts = node_facts(
        {
            "metadata": {
                "name": "n1",
                "uid": "u1",
                "labels": {"nos.nebuly.com/gpu-partitioning": "mig", **(labels or {})},
            },
            "spec": spec,
            "status": {
                "allocatable": ALLOCATABLE if allocatable is None else allocatable,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
    )
    protocol, _, rest = used.partition("|")
    address, _, port = rest.partition("|")
    ports = (HostPort(int(port), protocol, address),) if used else ()
    return NodeView(facts, facts.allocatable, (), ports)


def pod(*, requests: dict[str, str] | None = None, ports: list[Json] | None = None, **spec: Any) -> Json:
    """A Pod of one container that asks for a slice."""
    container = {
        "name": "main",
        "ports": ports or [],
        "resources": {"requests": requests or {}, "limits": {"nvidia.com/mig-1g.10gb": "1"}},
    }
    return {"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": {"containers": [container], **spec}}


def fits(view: NodeView, **wanted: Any) -> str | None:
    """Why such a Pod cannot run there, or None where it can."""
    return misfit(wish_of(pod(**wanted)), view)
