"""Two Pods that take the same port of a node do not meet there, by the scheduler's rule of what is the same."""

from typing import Any

import pytest

from allocator.facts import host_ports
from allocator.placement.fleet import HostPort
from tests.allocator.fitting import fits, node

CLASH = "without a free host port"


def port(number: int = 80, **more: Any) -> dict[str, Any]:
    return {"containerPort": 80, "hostPort": number, **more}


@pytest.mark.parametrize(
    ("used", "wanted", "clashes"),
    [
        ("TCP||80", port(), True),
        ("TCP||80", port(81), False),
        ("TCP||80", port(protocol="UDP"), False),
        ("UDP||80", port(protocol="UDP"), True),
        ("TCP|10.0.0.1|80", port(hostIP="10.0.0.1"), True),
        ("TCP|10.0.0.1|80", port(hostIP="10.0.0.2"), False),
        ("TCP|10.0.0.1|80", port(), True),
        ("TCP||80", port(hostIP="10.0.0.1"), True),
        ("TCP|0.0.0.0|80", port(hostIP="10.0.0.1"), True),
        ("TCP|0.0.0.0|80", port(), True),
        ("TCP|10.0.0.1|80", port(hostIP="0.0.0.0"), True),
        ("TCP|::|80", port(hostIP="10.0.0.1"), False),
        ("TCP|::|80", port(hostIP="::"), True),
        ("TCP|::|80", port(), True),
        ("TCP|10.0.0.1|80", port(hostIP="::"), False),
    ],
)
def test_ports_clash_by_number_protocol_and_address(used: str, wanted: dict[str, Any], *, clashes: bool) -> None:
    """To the scheduler, IPv4's address for any stands for all, IPv6's for itself alone."""
    assert fits(node(used=used), ports=[wanted]) == (CLASH if clashes else None)


def test_one_clash_of_many_ports_is_enough() -> None:
    assert fits(node(used="TCP||80"), ports=[port(81), port(82), port(80)]) == CLASH


def test_a_port_of_the_container_alone_takes_none_of_the_node() -> None:
    assert fits(node(used="TCP||80"), ports=[{"containerPort": 80}, port(0)]) is None


def test_sidecars_take_ports_for_the_pods_life_and_plain_init_containers_none() -> None:
    spec = {
        "initContainers": [
            {"name": "init", "ports": [port(81)]},
            {"name": "sidecar", "restartPolicy": "Always", "ports": [port(82, hostIP="10.0.0.1")]},
        ],
        "containers": [{"name": "main", "ports": [port(83, protocol="UDP")]}],
    }
    assert host_ports(spec) == (HostPort(82, "TCP", "10.0.0.1"), HostPort(83, "UDP", ""))
