"""When NVIDIA's plugin is started anew, and when not, with everything that can be in the way held still."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from mig.profiles import parse_profile
from nodeagent.gpus.leaving import Stage
from nodeagent.nvidia.node import DEPARTING_S
from nodeagent.nvidia.round import FIRST_PAUSE_S, PATIENCE_S
from nodeagent.nvidia.shown import SHOWN_FOR_S
from nodeagent.nvidia.symptoms import SILENT_AFTER_S
from nodeagent.pods import PodView
from nodeagent.state import Departure
from tests.support.instances import instance
from tests.support.nvidia_plugin_scene import NvidiaScene, nvidia_scene

SMALL, MEDIA = parse_profile("1g.10gb"), parse_profile("1g.10gb+me")
WAITING = PodView("default", "train", "uid-1", needs=((SMALL, 1),))


@pytest.fixture
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NvidiaScene]:
    """A plugin that runs and has enumerated an empty GPU."""
    async with nvidia_scene(tmp_path_factory.mktemp("n")) as made:
        yield made


async def test_a_bound_pod_that_lacks_its_device_is_waited_for(scene: NvidiaScene) -> None:
    """It would fail for good. Meanwhile nothing counts that no Pod holds, so no other is bound."""
    scene.state.pods[WAITING.uid] = WAITING
    scene.state.unserved = frozenset({SMALL})
    scene.enumerated(SMALL, "MIG-0")
    scene.make("1g.10gb@0+1", "1g.10gb@1+1")
    await scene.kubelet.until(lambda: scene.looks > 3, what="looked again and again")
    assert scene.starts == 0
    assert scene.count(SMALL) == "0"
    scene.state.unserved = frozenset()
    scene.state.changed.fire()
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")


async def test_a_pod_that_the_kubelet_has_taken_on_is_not_waited_for(scene: NvidiaScene) -> None:
    """It has what it asked for, though PodResources leaves plain init containers out."""
    scene.state.pods[WAITING.uid] = PodView("default", "train", "uid-1", needs=((SMALL, 1),), admitted=True)
    scene.state.unserved = frozenset({SMALL})
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")


async def test_nothing_is_started_while_nobody_knows_who_has_what(scene: NvidiaScene) -> None:
    """Unknown is not empty."""
    scene.answers = False
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.looks > 3, what="looked again and again")
    assert scene.starts == 0
    scene.answers = True
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")


async def test_hardware_that_changes_is_waited_for(scene: NvidiaScene) -> None:
    """A slice on its way out now; one that has stood still for long is not waited for."""
    scene.enumerated(SMALL, "MIG-1")
    scene.state.gpus[0].leaving["MIG-1"] = Departure(Stage.HELD, scene.clock())
    scene.ours.hold_back({"MIG-1"})
    scene.make("1g.10gb@0+1", "1g.10gb@1+1")
    await scene.kubelet.until(lambda: scene.count(SMALL) == "0", what="the resource is closed")
    scene.skip(SHOWN_FOR_S)
    await scene.kubelet.until(lambda: scene.ours.counts_published(SMALL), what="and stays so")
    assert (scene.looks, scene.starts) == (0, 0)
    scene.skip(DEPARTING_S)
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")


async def test_what_the_plugin_has_withdrawn_itself_is_no_reason(scene: NvidiaScene) -> None:
    """It found the GPU sick: a start would offer it again. It is told, the others stay ready, and a new slice is a reason."""
    scene.enumerated(SMALL, "MIG-0", "MIG-1")
    scene.make("1g.10gb@0+1", "1g.10gb@1+1")
    await scene.kubelet.until(lambda: scene.ours.ready_now() == {"MIG-0", "MIG-1"}, what="the slices are ready")
    scene.enumerated(SMALL, "MIG-1")
    await scene.kubelet.until(lambda: scene.ours.offered_now() == {"MIG-1"}, what="one is withdrawn", within_s=15)
    await scene.kubelet.until(lambda: scene.count(SMALL) == "1", what="it counts no more")
    counted: set[str | None] = set()

    def told() -> bool:
        counted.add(scene.count(SMALL))
        return bool(scene.ours.status.troubles)

    assert await scene.skip_until(told, what="it is told") >= SILENT_AFTER_S - 1
    assert "does not list MIG-0" in scene.ours.status.troubles[0]
    assert (counted, scene.starts) == ({"1"}, 0)
    scene.make("1g.10gb@0+1", "1g.10gb@1+1", "1g.10gb@2+1")
    await scene.kubelet.until(lambda: scene.starts == 1, what="started for the new one", within_s=15)


async def test_a_start_that_did_not_help_is_repeated_after_a_pause(scene: NvidiaScene) -> None:
    """A wrong strategy, say: the plugin comes back and lists nothing. Each pause is longer than the one before."""
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")
    await scene.plugin_runs()
    first_s = await scene.skip_until(lambda: scene.starts == 2, what="tried again")
    assert first_s >= PATIENCE_S + FIRST_PAUSE_S
    await scene.plugin_runs()
    assert await scene.skip_until(lambda: scene.starts == 3, what="and again") >= PATIENCE_S + 2 * FIRST_PAUSE_S


async def test_a_slice_that_was_remade_with_another_profile_is_a_reason(scene: NvidiaScene) -> None:
    """Its UUID is the one before, so the kubelet still lists it under the old resource, which counts nothing meanwhile."""
    scene.enumerated(SMALL, "MIG-0")
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.ours.ready_now() == {"MIG-0"}, what="the first is ready")
    scene.ours.withdraw("MIG-0")
    scene.make("1g.10gb+me@0+1")
    assert (scene.ours.offered_now(), scene.ours.ready_now()) == (frozenset(), frozenset())
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")
    assert scene.count(SMALL) == "0"
    scene.enumerated(SMALL)
    scene.enumerated(MEDIA, "MIG-0")
    await scene.plugin_runs()
    await scene.kubelet.until(lambda: scene.ours.ready_now() == {"MIG-0"}, what="the second is ready", within_s=15)
    assert (scene.count(SMALL), scene.count(MEDIA)) == ("0", "1")


async def test_a_slice_that_is_never_listed_holds_up_the_next_one_for_the_first_pause_alone(scene: NvidiaScene) -> None:
    """However often the plugin was started in vain before."""
    scene.make("1g.10gb@0+1")
    for failures in range(1, 6):

        def in_vain(starts: int = failures) -> bool:
            return scene.starts == starts

        await scene.skip_until(in_vain, what="started in vain")
        await scene.plugin_runs()
    await scene.skip_until(lambda: bool(scene.ours.status.troubles), what="told")
    scene.skip(PATIENCE_S)
    began = scene.clock()
    scene.make("1g.10gb@0+1", "1g.10gb@1+1")
    await scene.skip_until(lambda: scene.starts == 6, what="started for the new one")
    assert scene.clock() - began <= 2 * FIRST_PAUSE_S


async def test_an_instance_that_is_cut_up_is_named_as_the_likely_reason(scene: NvidiaScene) -> None:
    """NVIDIA's plugin ends when it meets one, and so nothing is listed."""
    scene.make("1g.10gb@0+1")
    record = scene.state.gpus[0]
    record.instances = (*record.instances, replace(instance("3g.40gb@4+4", gi=4, uuid=""), whole=False))
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")
    await scene.plugin_runs()
    await scene.skip_until(lambda: bool(scene.ours.status.troubles), what="told")
    assert "likely reason" in scene.ours.status.troubles[0]
    assert "3g.40gb at 4 of GPU 0" in scene.ours.status.troubles[0]


async def test_a_right_that_is_missing_is_told_with_the_value_to_set(scene: NvidiaScene) -> None:
    """A chart installed for our own plugin: asked once, then after a pause."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}
        return web.json_response(status, status=403) if request.method == "DELETE" else None

    scene.server.interceptors.append(refuse)
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: bool(scene.ours.status.troubles), what="told")
    assert "nodeAgent.devicePlugin=nvidia" in scene.ours.status.troubles[0]
    assert scene.starts == 1
    scene.server.interceptors.clear()
    scene.skip(FIRST_PAUSE_S)
    await scene.kubelet.until(lambda: scene.starts == 2, what="tried again")
    await scene.kubelet.until(lambda: not scene.ours.status.troubles, what="and told no more")
