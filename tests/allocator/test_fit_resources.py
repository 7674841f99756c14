"""A Pod goes only where everything that it requests is left: CPU, memory, storage, huge pages, other devices, a Pod's place."""

from dataclasses import replace

import pytest

from allocator.placement.fleet import Resources
from tests.allocator.fitting import ALLOCATABLE, fits, node


@pytest.mark.parametrize(
    ("name", "enough", "short"),
    [
        ("cpu", "2", "2001m"),
        ("memory", "4Gi", "4294967297"),
        ("ephemeral-storage", "10Gi", "11Gi"),
        ("hugepages-2Mi", "4Mi", "6Mi"),
        ("example.com/fpga", "1", "2"),
    ],
)
def test_the_last_of_a_resource_can_be_had_and_one_more_cannot(name: str, enough: str, short: str) -> None:
    assert fits(node(), requests={name: enough}) is None
    assert fits(node(), requests={name: short}) == f"with insufficient {name}"


@pytest.mark.parametrize("name", ["ephemeral-storage", "hugepages-2Mi", "example.com/fpga"])
def test_what_a_node_does_not_offer_at_all_is_short_there(name: str) -> None:
    """So to the scheduler: what is not in allocatable is there zero times."""
    bare = {key: amount for key, amount in ALLOCATABLE.items() if key != name}
    assert fits(node(allocatable=bare), requests={name: "1"}) == f"with insufficient {name}"
    assert fits(node(allocatable=bare)) is None


def test_requesting_none_of_a_resource_is_no_request() -> None:
    assert fits(node(), requests={"example.com/none": "0", "ephemeral-storage": "0"}) is None


def test_an_overdrawn_resource_keeps_away_only_who_requests_it() -> None:
    """A node may have shrunk under its Pods."""
    overdrawn = replace(node(), free=Resources(-500, 2**20, 5, {"ephemeral-storage": -1}))
    assert fits(overdrawn, requests={"memory": "1Mi", "cpu": "0", "ephemeral-storage": "0"}) is None
    assert fits(overdrawn, requests={"cpu": "1m"}) == "with insufficient cpu"
    assert fits(overdrawn, requests={"ephemeral-storage": "1"}) == "with insufficient ephemeral-storage"


def test_all_that_is_short_is_named_in_one_order() -> None:
    wanted = {"hugepages-2Mi": "1Gi", "example.com/fpga": "9", "memory": "1Ti", "cpu": "99"}
    assert fits(node(), requests=wanted) == "with insufficient cpu, memory, example.com/fpga, hugepages-2Mi"


def test_a_node_with_its_number_of_pods_takes_no_more_however_little_they_ask() -> None:
    assert fits(replace(node(), free=Resources(2000, 2**30, 0))) == "with insufficient pods"
    assert fits(node(allocatable={"cpu": "2"})) == "with insufficient pods"


def test_overhead_counts_against_the_node() -> None:
    assert fits(node(), requests={"cpu": "2"}, overhead={"cpu": "1m"}) == "with insufficient cpu"
    assert fits(node(), requests={"cpu": "1999m"}, overhead={"cpu": "1m"}) is None


def test_our_own_resources_are_not_counted_as_the_nodes_others() -> None:
    """Slices are made on demand: how many the node shows now decides nothing here."""
    facts = node().facts
    assert facts.mig_allocatable == {"nvidia.com/mig-1g.10gb": 3}
    assert set(facts.allocatable.other) == {"ephemeral-storage", "hugepages-2Mi", "example.com/fpga"}
    assert fits(node(allocatable={"cpu": "1", "memory": "1", "pods": "1"})) is None
