"""A kubelet that loses track of a device, forced: whoever has it keeps it."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

import grpc
import pytest

from cluster import Cluster, Node
from kube.resource import PODS
from mig.profiles import parse_profile
from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.api import podresources_pb2 as resources
from nodeagent.kubelet.handing import Handing
from nodeagent.kubelet.offers import Device
from tests.support.handing import by_variable
from tests.support.real_node import RealNode, running_beside
from tests.support.slices import device, uuid

DIES_S = 6
"""How long the Pod takes to die: the next one has to reach its `Allocate` meanwhile."""

PROFILE = parse_profile("1g.40gb")


class Meddler:
    """Hands over as told, and lets something happen while the kubelet waits for the answer of one `Allocate`."""

    troubles = ()

    def __init__(self, inner: Handing) -> None:
        self.meanwhile: Callable[[], None] | None = None
        self.prepare = inner.prepare
        self.forget = inner.forget
        self._answer = inner.answer

    def answer(self, devices: Sequence[Device]) -> pb.ContainerAllocateResponse:
        """As it was told, but later."""
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return self._answer(devices)


def list_pods(node: Node) -> set[str]:
    """PodResources as a monitoring agent lists it, whatever we are at: the names of the Pods that have devices."""
    with grpc.insecure_channel(
        f"unix:{node.pod_resources_socket}", options=(("grpc.default_authority", "localhost"),)
    ) as channel:
        call = channel.unary_unary(
            "/v1.PodResourcesLister/List",
            request_serializer=resources.ListPodResourcesRequest.SerializeToString,
            response_deserializer=resources.ListPodResourcesResponse.FromString,
        )
        answer: resources.ListPodResourcesResponse = call(resources.ListPodResourcesRequest(), timeout=5)
    return {pod.name for pod in answer.pod_resources if any(each.devices for each in pod.containers)}


def wait_and_list(node: Node, pod: str) -> None:
    """List again and again until the Pod, which is dying, is not listed any more."""
    assert pod in list_pods(node)
    give_up = time.monotonic() + 20
    while pod in list_pods(node):
        assert time.monotonic() < give_up, f"the kubelet still lists {pod}"
        time.sleep(0.01)


async def _pod_that_dies_slowly(real: RealNode, name: str) -> None:
    main = {
        "name": "main",
        "image": "busybox",
        "command": ["sh", "-c", "trap '' TERM; sleep infinity"],
        "resources": {"limits": {PROFILE.resource: "1"}},
    }
    await real.create_pod(name, PROFILE, containers=[main], terminationGracePeriodSeconds=DIES_S)
    await real.wait_phase(name, "Running")


@pytest.mark.timeout(120)
async def test_a_device_that_the_kubelet_forgot_stays_with_its_holder(
    clusters_node: tuple[Cluster, Node], caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 1: a Pod dies, and a third party lists, while the kubelet waits for our answer: it forgets what it allocates.

    The next Pod is offered that device, too. Where none is free by our book it is refused, otherwise it gets the free one.
    """
    cluster, node = clusters_node
    meddler = Meddler(by_variable(node.directory))
    caplog.set_level(logging.DEBUG, "nodeagent.kubelet.offers")
    async with running_beside(cluster, node, meddler) as real:
        for number in (300, 301):
            real.kubelet.offer(device(number, PROFILE))
        real.kubelet.book_preference({PROFILE: [uuid(300), uuid(301)]})
        await real.until(lambda: real.kubelet.ready(uuid(301), PROFILE), what="the slices are ready")
        await _pod_that_dies_slowly(real, "dying")
        meddler.meanwhile = partial(wait_and_list, node, "dying")
        await real.api.delete(PODS, "dying", namespace="default")
        await real.create_pod("holder", PROFILE)
        await real.wait_phase("holder", "Running", within_s=40)
        assert real.container_env("holder")["NVIDIA_VISIBLE_DEVICES"] == uuid(301)

        # By our book the dead Pod may still compute, so nothing is free; the kubelet takes what it believes to be.
        await real.create_pod("refused", PROFILE)
        status = await real.wait_phase("refused", "Failed")
        assert f"what is in use, or was a moment ago: {uuid(300)}, {uuid(301)}" in caplog.text
        assert status["reason"] == "UnexpectedAdmissionError"
        assert "is still in use by another Pod; a new Pod gets another slice" in status["message"]

        real.kubelet.forget_handout(uuid(300))
        await real.create_pod("next", PROFILE)
        await real.wait_phase("next", "Running")
        assert real.container_env("next")["NVIDIA_VISIBLE_DEVICES"] == uuid(300)
        assert (await real.pod_status("holder"))["phase"] == "Running"
        for name in ("holder", "refused", "next"):
            await real.delete_pod(name)
