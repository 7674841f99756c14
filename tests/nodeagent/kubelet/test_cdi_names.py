"""Slices handed over by CDI names, over the wire: the description is there first and goes last."""

import json
import shutil
from pathlib import Path

import pytest

from mig.profiles import parse_profile
from nodeagent.kubelet.cdi import FILE_NAME
from nodeagent.kubelet.devicenodes import Access
from nodeagent.kubelet.offers import DROP_AFTER_S
from nodeagent.kubelet.own import Kubelet
from simgpu import SimNode
from tests.support.beside_kubelet import beside
from tests.support.handing import by_name
from tests.support.model_kubelet import ModelKubelet
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")
SLICE = device(1, SMALL, access=Access(0, 1, 0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return SimNode.create(tmp_path / "sim").root


def described(folder: Path) -> list[str]:
    """The names in the file; none where there is no file."""
    try:
        text = (folder / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [each["name"] for each in json.loads(text)["devices"]]


async def test_a_container_is_given_the_name_and_nothing_else(root: Path, folder: Path) -> None:
    """Invariant 8: no variable that a user's own could override, and no device beside those that the name stands for."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with beside(kubelet, folder, by_name(root, folder)) as scene:
        scene.ours.offer(SLICE)
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        assert await kubelet.allocate("pod", "main", SMALL.resource) == {}
        [answer] = kubelet.answers
        assert [each.name for each in answer.cdi_devices] == [f"nos.nebuly.com/mig={uuid(1)}"]
        assert not answer.devices


async def test_a_slice_is_not_offered_before_it_is_described(root: Path, folder: Path) -> None:
    """N12: a folder that is missing is told; when it is there the next reading of the GPU offers the slice."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    cdi = folder / "cdi"
    async with beside(kubelet, folder, by_name(root, cdi)) as scene:
        scene.ours.offer(SLICE)
        assert any(str(cdi / FILE_NAME) in each for each in scene.ours.status.troubles)
        assert scene.ours.handed_out() == {}
        cdi.mkdir()
        await kubelet.until(lambda: scene.ours.status.reachable, what="the kubelet answers")
        assert kubelet.registrations == []
        scene.ours.offer(SLICE)
        assert described(cdi) == [uuid(1)]
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        assert not any(FILE_NAME in each for each in scene.ours.status.troubles)


async def test_a_slice_that_is_offered_stays_so_when_its_description_is_lost(root: Path, folder: Path) -> None:
    """Withdrawing it would fail Pods for good; a container that the runtime refuses for lack of a name is tried again."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    cdi = folder / "cdi"
    cdi.mkdir()
    async with beside(kubelet, folder, by_name(root, cdi)) as scene:
        scene.ours.offer(SLICE)
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        shutil.rmtree(cdi)
        scene.ours.offer(SLICE)
        assert any(str(cdi / FILE_NAME) in each for each in scene.ours.status.troubles)
        await kubelet.allocate("pod", "main", SMALL.resource)
        assert [each.name for each in kubelet.answers[-1].cdi_devices] == [f"nos.nebuly.com/mig={uuid(1)}"]
        cdi.mkdir()
        await kubelet.pre_start(SMALL.resource, uuid(1))
        assert described(cdi) == [uuid(1)]


async def test_a_slice_is_described_until_it_is_dropped(root: Path, folder: Path) -> None:
    """A kubelet that is slow to take in the withdrawal can still start a container with it."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with beside(kubelet, folder, by_name(root, folder)) as scene:
        scene.ours.offer(SLICE)
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        scene.ours.withdraw(uuid(1))
        scene.ours.drop(uuid(1))
        assert described(folder) == [uuid(1)], "sooner than it may be dropped"
        await kubelet.until(lambda: _dropped(scene.ours, folder), what="dropped", within_s=DROP_AFTER_S + 5)


def _dropped(ours: Kubelet, folder: Path) -> bool:
    ours.drop(uuid(1))
    return described(folder) == []


async def test_a_container_that_starts_again_finds_its_description(root: Path, folder: Path) -> None:
    """The kubelet gives the runtime the answer of back then; the file was lost meanwhile."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with beside(kubelet, folder, by_name(root, folder)) as scene:
        scene.ours.offer(SLICE)
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        await kubelet.allocate("pod", "main", SMALL.resource)
        (folder / FILE_NAME).unlink()
        await kubelet.pre_start(SMALL.resource, uuid(1))
        assert described(folder) == [uuid(1)]


async def test_a_restarted_kubelet_finds_the_same_names(root: Path, folder: Path) -> None:
    """It forgets every plugin; names and descriptions stay what they were."""
    kubelet = ModelKubelet(folder)
    await kubelet.start()
    async with beside(kubelet, folder, by_name(root, folder)) as scene:
        scene.ours.offer(SLICE)
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered")
        before = (folder / FILE_NAME).stat()
        await kubelet.stop()
        await kubelet.until(lambda: not scene.ours.offered_now(), what="nothing is offered without a kubelet")
        await kubelet.start()
        await kubelet.until(lambda: uuid(1) in scene.ours.offered_now(), what="the slice is offered again")
        await kubelet.allocate("pod", "main", SMALL.resource)
        assert [each.name for each in kubelet.answers[-1].cdi_devices] == [f"nos.nebuly.com/mig={uuid(1)}"]
        assert (folder / FILE_NAME).stat() == before
