"""What the kubelet is told about slices, and when."""

import asyncio

from mig.profiles import parse_profile
from nodeagent.kubelet.offers import DROP_AFTER_S
from tests.support.beside_kubelet import Beside
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")


async def test_a_slice_goes_from_healthy_to_unhealthy_to_gone(scene: Beside) -> None:
    """Never straight from healthy to gone, which can crash a kubelet; and the resource stays registered when it is empty."""
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="it is offered")
    scene.ours.drop(uuid(1))
    scene.ours.withdraw(uuid(1))
    scene.ours.drop(uuid(1))
    await scene.kubelet.until(lambda: not scene.kubelet.healthy(SMALL.resource), what="it is withdrawn")
    assert scene.kubelet.lists[SMALL.resource] == {uuid(1): "Unhealthy"}

    def gone() -> bool:
        scene.ours.drop(uuid(1))
        return scene.kubelet.lists[SMALL.resource] == {}

    await scene.kubelet.until(gone, what="it is gone")
    lists = [devices for _, devices in scene.kubelet.history]
    assert lists == [{uuid(1): "Healthy"}, {uuid(1): "Unhealthy"}, {}]
    assert len(scene.kubelet.registrations) == 1


async def test_an_unchanged_list_is_not_sent_again(scene: Beside) -> None:
    """Offering twice, or changing another resource, says nothing new to the kubelet."""
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="it is offered")
    scene.ours.offer(device(1, SMALL))
    scene.ours.offer(device(2, parse_profile("2g.20gb")))
    await scene.kubelet.until(lambda: uuid(2) in scene.ours.offered_now(), what="the other is offered")
    assert [resource for resource, _ in scene.kubelet.history].count(SMALL.resource) == 1


async def test_a_slice_is_offered_only_once_the_kubelet_says_so(scene: Beside) -> None:
    """S11: a list that was sent is not yet one that the kubelet goes by."""
    scene.kubelet.takes_in_lists = False
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: len(scene.kubelet.history) == 1, what="the list was sent")
    await scene.kubelet.until(lambda: scene.ours.status.reachable, what="the kubelet was asked")
    assert scene.ours.offered_now() == frozenset()
    assert not scene.ours.ready(uuid(1), SMALL)
    assert scene.count(SMALL.resource) in {None, "0"}
    scene.kubelet.lists[SMALL.resource] = {uuid(1): "Healthy"}
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(1), SMALL), what="it is ready")
    assert scene.count(SMALL.resource) == "1"


async def test_an_id_that_gets_another_profile_appears_there_by_itself_and_is_first_withdrawn(scene: Beside) -> None:
    """Profiles at one place share a UUID. The kubelet never sees it healthy and then gone; nobody has to offer it twice."""
    large = parse_profile("2g.20gb")
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(1), SMALL), what="it is ready")
    scene.ours.withdraw(uuid(1))
    began = asyncio.get_running_loop().time()
    scene.ours.offer(device(1, large))
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(1), large), what="it is ready under its new profile")
    assert asyncio.get_running_loop().time() - began >= DROP_AFTER_S
    lists = [devices for resource, devices in scene.kubelet.history if resource == SMALL.resource]
    assert lists == [{uuid(1): "Healthy"}, {uuid(1): "Unhealthy"}, {}]
    assert (scene.count(SMALL.resource), scene.count(large.resource)) == ("0", "1")
