"""Resources are registered with the kubelet, and stay so whatever becomes of it."""

import asyncio
import socket
import stat
from pathlib import Path

from mig.profiles import parse_profile
from nodeagent.kubelet.listing import UNLISTED_S
from nodeagent.kubelet.registration import RETRY_S
from tests.support.beside_kubelet import Beside, beside
from tests.support.model_kubelet import ModelKubelet
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")
MEDIA = parse_profile("1g.10gb+me")


async def test_each_profile_is_registered_once_with_its_own_socket(scene: Beside) -> None:
    """One resource a profile, with both options that we rely on."""
    for number, profile in enumerate((SMALL, SMALL, MEDIA)):
        scene.ours.offer(device(number, profile))
    await scene.kubelet.until(lambda: len(scene.ours.offered_now()) == 3, what="three slices are offered")
    requests = {request.resource_name: request for request in scene.kubelet.registrations}
    assert sorted(requests) == ["nvidia.com/mig-1g.10gb", "nvidia.com/mig-1g.10gb.me"]
    assert len(scene.kubelet.registrations) == 2
    assert len({request.endpoint for request in requests.values()}) == 2
    for request in requests.values():
        assert request.version == "v1beta1"
        assert request.options.pre_start_required
        assert request.options.get_preferred_allocation_available


async def test_a_restarted_kubelet_gets_a_fresh_socket_and_the_whole_list(scene: Beside) -> None:
    """The kubelet forgets everything and deletes sockets; soon it knows our slices again."""
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
    await scene.kubelet.stop()
    await scene.kubelet.until(lambda: not scene.ours.offered_now(), what="nothing is offered without a kubelet")
    await scene.kubelet.until(lambda: not scene.ours.status.reachable, what="the status says so")
    await scene.kubelet.start()
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered again")
    first, second = scene.kubelet.registrations
    assert first.endpoint != second.endpoint
    assert sorted(path.name for path in scene.kubelet.plugins.glob("nos-mig-*")) == [second.endpoint]
    assert scene.ours.status.troubles == ()


async def test_a_kubelet_that_comes_later_is_waited_for(folder: Path) -> None:
    """Without a kubelet the agent lives, says what is missing, and registers when it is there."""
    kubelet = ModelKubelet(folder)
    async with beside(kubelet, folder) as scene:
        scene.ours.offer(device(1, SMALL))
        await kubelet.until(lambda: len(scene.ours.status.troubles) == 2, what="both sockets are missed")
        assert any("kubelet.sock is not there" in trouble for trouble in scene.ours.status.troubles)
        assert any("is its pod-resources folder mounted here?" in trouble for trouble in scene.ours.status.troubles)
        await kubelet.start()
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        assert scene.ours.status.troubles == ()


async def test_a_refused_registration_is_reported_and_repeated(folder: Path) -> None:
    """The kubelet's own words reach the status."""
    kubelet = ModelKubelet(folder, accepts=False)
    await kubelet.start()
    async with beside(kubelet, folder) as scene:
        scene.ours.offer(device(1, SMALL))
        await kubelet.until(lambda: bool(scene.ours.status.troubles), what="the refusal is reported")
        (trouble,) = scene.ours.status.troubles
        assert SMALL.resource in trouble
        assert "no more plugins, please" in trouble
        kubelet.accepts = True
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        assert scene.ours.status.troubles == ()


async def test_a_stream_that_ends_is_registered_again(scene: Beside) -> None:
    """The kubelet lives on but dropped us."""
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
    await scene.kubelet.break_stream(SMALL.resource)
    await scene.kubelet.until(lambda: len(scene.kubelet.registrations) == 2, what="a second registration")
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered again")


async def test_a_kubelet_that_hangs_up_each_time_is_not_hammered(scene: Beside) -> None:
    """The pauses grow to a second, and end when it stays."""
    scene.kubelet.hangs_up = True
    clock = asyncio.get_running_loop().time
    began = clock()
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: len(scene.kubelet.registrations) == len(RETRY_S), what="it is tried again")
    assert clock() - began >= sum(RETRY_S[1:]) > 1
    scene.kubelet.hangs_up = False
    await scene.kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")


async def test_a_list_that_is_not_heard_is_registered_again(scene: Beside) -> None:
    """The kubelet holds our stream but goes by another list: after `UNLISTED_S` it gets a new registration."""
    scene.kubelet.takes_in_lists = False
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: len(scene.kubelet.history) == 1, what="a first registration")
    scene.kubelet.takes_in_lists = True
    await scene.kubelet.until(
        lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered", within_s=UNLISTED_S + 5
    )
    assert len(scene.kubelet.registrations) == 2


async def test_left_over_sockets_are_removed_and_others_left_alone(folder: Path) -> None:
    """A killed agent leaves its sockets behind; those of other plugins are none of our business."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    others = []
    for name in ("nos-mig-1g.10gb-abcdef.sock", "other-plugin.sock"):
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(kubelet.plugins / name))
        others.append(left)
    async with beside(kubelet, folder):
        await asyncio.sleep(0.05)
        names = {path.name for path in kubelet.plugins.iterdir() if stat.S_ISSOCK(path.stat().st_mode)}
        assert names == {"kubelet.sock", "other-plugin.sock"}
    for left in others:
        left.close()
