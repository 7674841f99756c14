"""What our client relies on is what a real API server does: TLS, client certificates, words of its refusals, streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from cluster import Cluster
from kube.client import Api
from kube.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from kube.events import EventRecorder, ObjectRef
from kube.resource import CONFIG_MAPS, EVENTS, Resource
from kube.transport import JsonObject
from tests.support.watching import watching

# The first test pays for the start; where the binary is not built yet, for the build, too.
pytestmark = pytest.mark.timeout(900)

NAMESPACE = "default"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[Cluster]:
    with Cluster.start(name="nos-kube-test") as cluster:
        yield cluster


@pytest.fixture
async def real(control_plane: Cluster) -> AsyncIterator[Api]:
    async with Api.connect(control_plane.kubeconfig, user_agent="nos-mig-test") as api:
        yield api


def config_map(name: str, **data: str) -> JsonObject:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"test": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        ([{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}], Conflict),
        ([{"op": "test", "path": "/metadata/annotations/none", "value": "1"}], Conflict),
        ([{"op": "test", "path": "/data/x", "value": "1"}, {"op": "remove", "path": "/data/gone"}], Conflict),
        (
            [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "add", "path": "/data/bad key", "value": ""}],
            Invalid,
        ),
        ([{"op": "test", "path": "/data/x", "value": "1"}, {"op": "add", "path": "/data/y", "value": {}}], Invalid),
        ([{"op": "remove", "path": "/data/gone"}], Invalid),
    ],
)
async def test_a_json_patch_that_lost_a_race_is_told_from_one_that_can_never_apply(
    real: Api, operations: list[JsonObject], error: type[ApiError]
) -> None:
    with contextlib.suppress(AlreadyExists):
        await real.create(CONFIG_MAPS, config_map("patched", x="1"))
    with pytest.raises(error):
        await real.json_patch(CONFIG_MAPS, "patched", operations, namespace=NAMESPACE)
    assert (await real.get(CONFIG_MAPS, "patched", namespace=NAMESPACE))["data"] == {"x": "1"}


async def test_old_versions_and_other_uids_are_conflicts(real: Api) -> None:
    old = await real.create(CONFIG_MAPS, config_map("versions", x="1"))
    version = old["metadata"]["resourceVersion"]
    await real.apply(CONFIG_MAPS, config_map("versions", y="2"), field_manager="test")
    with pytest.raises(Conflict):
        await real.replace(CONFIG_MAPS, old)
    patch = {"metadata": {"resourceVersion": version}, "data": {"z": "3"}}
    with pytest.raises(Conflict):
        await real.merge_patch(CONFIG_MAPS, "versions", patch, namespace=NAMESPACE)
    with pytest.raises(Conflict):
        await real.delete(CONFIG_MAPS, "versions", namespace=NAMESPACE, uid="another")
    now = await real.get(CONFIG_MAPS, "versions", namespace=NAMESPACE)
    assert now["data"] == {"x": "1", "y": "2"}
    await real.delete(CONFIG_MAPS, "versions", namespace=NAMESPACE, uid=old["metadata"]["uid"])


async def test_a11_a_resource_that_is_not_installed_is_not_found(real: Api) -> None:
    with pytest.raises(NotFound):
        await real.list(Resource("nobody.example", "v1", "things"))


async def test_events_are_accepted_and_counted(real: Api) -> None:
    clock = iter(range(0, 100_000, 100)).__next__
    recorder = EventRecorder(real, component="nos-mig-test", instance="here", clock=clock)
    for about in (ObjectRef("v1", "Node", "n1"), ObjectRef("v1", "Pod", "p1", namespace=NAMESPACE)):
        for _ in range(2):
            recorder.emit(about, warning=True, reason="Full", action="Allocate", note=f"no room for {about.name}")
            await recorder.drain(timeout_s=10)
    events, _ = await real.list(EVENTS, namespace=NAMESPACE)
    counts = {event["note"]: event["series"]["count"] for event in events if event.get("reason") == "Full"}
    assert (counts, recorder.dropped) == ({"no room for n1": 2, "no room for p1": 2}, 0)


async def test_a10_a_watch_goes_on_after_the_api_server_was_restarted(real: Api, control_plane: Cluster) -> None:
    await real.create(CONFIG_MAPS, config_map("before", x="1"))
    async with watching(real, CONFIG_MAPS, namespace=NAMESPACE) as seen:
        await seen.until(lambda seen: "before" in seen.content)
        control_plane.stop_api_server()
        await seen.until(lambda seen: seen.troubles)
        await asyncio.to_thread(control_plane.start_api_server)
        await real.merge_patch(CONFIG_MAPS, "before", {"data": {"x": "2"}}, namespace=NAMESPACE, timeout_s=30)
        await seen.until(lambda seen: seen.content["before"]["data"] == {"x": "2"}, within_s=30)
