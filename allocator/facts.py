"""API objects into the placement's values: what a Pod wishes, what a Node has.

Reads the dicts of the API server once, at the edge of the index, and keeps only what decides. Amounts of a node are rounded down,
against the Pod.
"""

import math
from collections.abc import Mapping
from typing import Any

from allocator.placement.fleet import HostPort, NodeFacts, Requirement, Resources, Taint, Toleration, Wish
from allocator.podrequests import NATIVE, pod_requests
from mig.demand import all_containers, needs_of
from mig.lifetime import declared_lifetime
from mig.names import DURATION_ANNOTATION
from mig.profiles import is_mig_resource
from mig.quantity import parse_quantity

Json = Mapping[str, Any]


def wish_of(pod: Json) -> Wish:
    """What a Pod needs and demands of its node.

    Raises `ProfileNameError` or `QuantityError` for a Pod that no webhook has seen.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    return Wish(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        needs=needs_of(spec),
        requests=pod_requests(pod),
        node_selector=dict(spec.get("nodeSelector") or {}),
        affinity=_required_affinity(spec),
        tolerations=tuple(
            Toleration(
                key=item.get("key", ""),
                operator=item.get("operator", ""),
                value=item.get("value", ""),
                effect=item.get("effect", ""),
            )
            for item in spec.get("tolerations") or ()
        ),
        host_ports=host_ports(spec),
        lasts=declared_lifetime(
            annotation=(metadata.get("annotations") or {}).get(DURATION_ANNOTATION),
            deadline=spec.get("activeDeadlineSeconds"),
        ),
    )


def host_ports(spec: Json) -> tuple[HostPort, ...]:
    """The ports that a Pod takes on its node."""
    return tuple(
        HostPort(port["hostPort"], port.get("protocol", "TCP"), port.get("hostIP", ""))
        for container, plain_init in all_containers(spec)
        if not plain_init
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _required_affinity(spec: Json) -> tuple[tuple[Requirement, ...], ...] | None:
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return None
    return tuple(
        (
            *(_requirement(item, on_field=False) for item in term.get("matchExpressions") or ()),
            *(_requirement(item, on_field=True) for item in term.get("matchFields") or ()),
        )
        for term in required.get("nodeSelectorTerms") or ()
    )


def _requirement(item: Json, *, on_field: bool) -> Requirement:
    return Requirement(item["key"], item["operator"], tuple(item.get("values") or ()), on_field)


def node_facts(node: Json) -> NodeFacts:
    """What a Node object says."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    allocatable = status.get("allocatable") or {}
    return NodeFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        labels=dict(metadata.get("labels") or {}),
        taints=tuple(
            Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in spec.get("taints") or ()
        ),
        ready=any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ()),
        cordoned=bool(spec.get("unschedulable")),
        allocatable=Resources(
            milli_cpu=math.floor(parse_quantity(allocatable.get("cpu", 0)) * 1000),
            memory=math.floor(parse_quantity(allocatable.get("memory", 0))),
            pods=math.floor(parse_quantity(allocatable.get("pods", 0))),
            other={
                name: math.floor(parse_quantity(amount))
                for name, amount in allocatable.items()
                if name not in NATIVE and not is_mig_resource(name)
            },
        ),
        mig_allocatable={
            name: math.floor(parse_quantity(amount)) for name, amount in allocatable.items() if is_mig_resource(name)
        },
    )
