"""Objects of the API server as a user, the webhook and the kubelet would leave them."""

from collections.abc import Mapping
from typing import Any

from mig.names import GATE, POD_LABEL, REQUEST_ANNOTATION
from mig.profiles import parse_profile

Json = dict[str, Any]


def pod(
    name: str,
    *profiles: str,
    gates: tuple[str, ...] = (GATE,),
    priority: int = 0,
    cpu: str = "100m",
    node: str = "",
    created: str = "2026-01-01T00:00:00Z",
    **spec: Any,
) -> Json:
    """A Pod with one container a profile (`c0`, `c1`, …), gated by default as the webhook leaves it."""
    containers = [
        {
            "name": f"c{place}",
            "resources": {"requests": {"cpu": cpu} | asks, "limits": asks},
        }
        for place, asks in enumerate([{parse_profile(profile).resource: "1"} for profile in profiles] or [{}])
    ]
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "creationTimestamp": created,
            "labels": {POD_LABEL: "true"},
            "annotations": {REQUEST_ANNOTATION: "{}"},
        },
        "spec": {
            "containers": containers,
            "priority": priority,
            **({"schedulingGates": [{"name": gate} for gate in gates]} if gates else {}),
            **({"nodeName": node} if node else {}),
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def node(name: str, *, labels: Mapping[str, str] | None = None, cpu: str = "64") -> Json:
    """A Ready Node, handed over by default."""
    labels = {"nos.nebuly.com/gpu-partitioning": "mig"} if labels is None else labels
    return {
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": "256Gi", "pods": "110"},
            "capacity": {},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
