"""One control plane with the chart installed, and whoever speaks to it: real tokens of the chart's ServiceAccounts."""

from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.cluster import Cluster
from kube.client import Api
from tests.support.chart import NAMESPACE, NOBODY, install

NODES = """
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {zone: a}}
"""


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The chart with its workloads off and nobody at the webhook's address; two Nodes by name alone: nothing needs a kubelet."""
    with Cluster.start(name="nos-mig-chart") as running:
        running.kubectl("create", "-f", "-", input=NODES)
        install(running, "--set", f"webhook.url={NOBODY}")
        yield running


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[Api]:
    async with Api.connect(cluster.kubeconfig, user_agent="test-admin") as api:
        yield api


@pytest.fixture
async def agent(cluster: Cluster) -> AsyncIterator[Api]:
    """The agent of n1: its token is bound to that Node."""
    path = cluster.service_account_kubeconfig(NAMESPACE, "nos-mig-nodeagent", node="n1")
    async with Api.connect(path, user_agent="test-agent") as api:
        yield api


@pytest.fixture
async def allocator(cluster: Cluster) -> AsyncIterator[Api]:
    path = cluster.service_account_kubeconfig(NAMESPACE, "nos-mig-allocator")
    async with Api.connect(path, user_agent="test-allocator") as api:
        yield api


@pytest.fixture
async def webhook(cluster: Cluster) -> AsyncIterator[Api]:
    path = cluster.service_account_kubeconfig(NAMESPACE, "nos-mig-webhook")
    async with Api.connect(path, user_agent="test-webhook") as api:
        yield api
