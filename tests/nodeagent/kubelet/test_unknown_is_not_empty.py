"""When the kubelet does not answer, nothing is concluded from it."""

import grpc
import pytest

from mig.profiles import parse_profile
from nodeagent.kubelet.kubeletside import KubeletAway, KubeletBusy
from tests.support.beside_kubelet import Beside
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")


async def test_who_has_what_is_an_error_without_a_kubelet(scene: Beside) -> None:
    """Invariant 6: an empty answer would let slices in use be destroyed."""
    await scene.kubelet.stop()
    with pytest.raises(KubeletAway):
        await scene.ours.assigned_now()


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_a_busy_kubelet_changes_nothing(scene: Beside, code: grpc.StatusCode) -> None:
    """Its limit of 100 calls a second, or a slow machine, must not make slices look withdrawn."""
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(1), SMALL), what="the slice is ready")
    scene.kubelet.fault = code
    scene.ours.offer(device(2, SMALL))
    await scene.kubelet.until(lambda: len(scene.kubelet.lists[SMALL.resource]) == 2, what="the list was sent")
    with pytest.raises(KubeletBusy):
        await scene.ours.assigned_now()
    assert scene.ours.offered_now() == {uuid(1)}
    assert scene.count(SMALL.resource) == "1"
    scene.kubelet.fault = None
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(2), SMALL), what="the second is ready")


async def test_without_pod_resources_nothing_is_promised(scene: Beside) -> None:
    """The device plugin works but the other socket does not: no slice counts as offered, and the status says what to mount."""
    scene.kubelet.fault = grpc.StatusCode.UNIMPLEMENTED
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: bool(scene.ours.status.troubles), what="it is reported")
    assert "pod-resources folder" in scene.ours.status.troubles[0]
    assert scene.ours.offered_now() == frozenset()
