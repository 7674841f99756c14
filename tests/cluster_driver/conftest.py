"""One cluster with one node for the tests that only look at it."""

from collections.abc import Iterator

import pytest

from cluster import Cluster, Node


@pytest.fixture(scope="session")
def driven_cluster() -> Iterator[Cluster]:
    with Cluster.start(name="nos-test") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def node(driven_cluster: Cluster) -> Node:
    return driven_cluster.add_node("node-1", labels={"example.com/rack": "r1"})
