"""A node is switched off and on: its slices are gone with it, and everything that asked for one has one again, without a hand."""

import signal
from typing import Any

from kube.resource import Resource
from mig.migspec import SliceState
from tests.cluster.conftest import A
from tests.cluster.world import World, container, pod

ON_A = {"kubernetes.io/hostname": A}
REPLICA_SETS = Resource("apps", "v1", "replicasets")


def replica_set(name: str, profile: str) -> dict[str, Any]:
    """One Pod on node A, made anew whenever it fails."""
    labels = {"app": name}
    spec = {"nodeSelector": ON_A, "terminationGracePeriodSeconds": 0, "containers": [container("main", profile)]}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def reboot(here: World) -> None:
    """Power off and on, from one moment to the next. The agent, a Pod like others, is not there before the kubelet."""
    agent = here.stack.children[f"agent-{A}"]
    agent.request_stop()
    agent.kill(signal.SIGKILL)
    agent.stop()
    node = here.node(A)
    node.node.stop()
    node.sim.reboot()
    node.node.start()


def of_set(here: World, name: str) -> list[str]:
    """The names of a ReplicaSet's Pods that were seen, oldest first."""
    return [
        track.name
        for track in here.timeline.pods.values()
        if track.namespace == here.namespace and track.name.startswith(f"{name}-")
    ]


def claimants(here: World) -> set[str]:
    """The Pods that claim a slice of node A."""
    return {claim.pod for _, _, claim in here.migspec(A).spec.claims()}


async def test_pods_that_a_reboot_ended_are_released_and_told_and_their_successors_run(here: World) -> None:
    """N8: the kubelet fails Pods with devices after a reboot; their claims go, with an Event that says why."""
    await here.api.create(REPLICA_SETS, replica_set("served", "2g.20gb"), namespace=here.namespace)
    await here.until(lambda: of_set(here, "served"), "a Pod of the ReplicaSet")
    (first,) = of_set(here, "served")
    await here.running(first)
    # Let go and not started: its claim is a live Pod's, so that its slice is made anew.
    await here.create(pod("early", "1g.10gb", nodeSelector=ON_A, schedulerName="nobody"))
    await here.waiting("early", "Allocated")

    reboot(here)
    await here.until(lambda: here.track(first).phase == "Failed", "the kubelet fails the Pod", timeout_s=60)
    here.stack.start_agent(A)
    await here.until(lambda: first not in claimants(here), "its claim released")
    await here.until(lambda: len(of_set(here, "served")) > 1, "its controller makes another")
    second = of_set(here, "served")[-1]
    await here.running(second, timeout_s=60)
    here.assert_sees_its_slice(second)
    released = await here.event("MigReleased", kind="Pod", name=first)
    assert "since the kubelet failed the Pod" in released["note"]
    rebooted = await here.event("NodeRebooted", kind="Node", name=A)
    assert "2 slices went with it" in rebooted["note"]

    await here.until(
        lambda: (
            "early" in claimants(here) and "1g.10gb" in {str(item.profile) for item in here.slices(A, SliceState.FREE)}
        ),
        "the slice of the live Pod is there again",
    )
    await here.bind("early", A)
    await here.running("early")
    here.assert_sees_its_slice("early")
    await here.api.delete(REPLICA_SETS, "served", namespace=here.namespace)
