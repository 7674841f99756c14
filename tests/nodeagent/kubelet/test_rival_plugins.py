"""Another device plugin for the same resources is noticed, and the status says what to switch off."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mig.profiles import parse_profile
from nodeagent.kubelet.rivals import conflict, rival_sockets
from tests.support.beside_kubelet import Beside
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")


@pytest.fixture
def listening(folder: Path) -> Iterator[Path]:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(folder / "nvidia-mig-1g.10gb.sock"))
        server.listen()
        yield folder


def test_a_plugin_that_listens_is_found(listening: Path) -> None:
    """NVIDIA's plugin names its sockets after the resource."""
    assert rival_sockets(listening) == ("nvidia-mig-1g.10gb.sock",)


def test_what_a_dead_plugin_left_behind_is_not(folder: Path) -> None:
    """Nor is its plugin for whole GPUs, which does not meet ours."""
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(folder / "nvidia-mig-1g.10gb.sock"))
    with closing(socket.socket(socket.AF_UNIX)) as whole:
        whole.bind(str(folder / "nvidia-gpu.sock"))
        whole.listen()
        assert rival_sockets(folder) == ()


def test_the_sentence_says_what_to_switch_off() -> None:
    """And there is none without evidence."""
    assert conflict(sockets=(), foreign=()) is None
    sentence = conflict(sockets=("nvidia-mig-1g.10gb.sock",), foreign=(SMALL.resource,))
    assert sentence is not None
    assert "nvidia.com/gpu.deploy.device-plugin=false" in sentence
    assert "nvidia-mig-1g.10gb.sock" in sentence
    assert SMALL.resource in sentence


async def test_foreign_ids_under_our_resource_are_reported_and_not_fought(scene: Beside) -> None:
    """Its list has overwritten ours: we say so, count only what the kubelet offers of ours, and do not register over it."""
    scene.ours.offer(device(1, SMALL))
    await scene.kubelet.until(lambda: scene.ours.ready(uuid(1), SMALL), what="the slice is ready")
    scene.kubelet.lists[SMALL.resource] = {}
    scene.kubelet.foreign[SMALL.resource] = {"MIG-theirs"}
    scene.ours.offer(device(2, parse_profile("2g.20gb")))
    await scene.kubelet.until(lambda: bool(scene.ours.status.troubles), what="the rival is reported")
    (trouble,) = scene.ours.status.troubles
    assert f"the kubelet lists its ids under {SMALL.resource}" in trouble
    assert scene.ours.offered_now() == {uuid(2)}
    await scene.kubelet.until(lambda: scene.count(SMALL.resource) == "0", what="its slices do not count")
    registered = [request.resource_name for request in scene.kubelet.registrations]
    assert registered.count(SMALL.resource) == 1
