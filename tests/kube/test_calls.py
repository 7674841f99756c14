"""Each verb does what the API server's documentation says, with plain dicts in and out."""

import pytest

from kube.client import PAGE_SIZE, Api
from kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from kube.resource import NODES, PODS
from kube.transport import JsonObject
from tests.support.apiserver import ApiServer


def pod(name: str, **spec: object) -> JsonObject:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns"}, "spec": spec}


async def test_what_was_created_is_read_back_with_fields_that_nobody_knows(api: Api) -> None:
    created = await api.create(PODS, pod("a", fieldOfTheFuture={"x": [1, None]}))
    assert created["spec"] == {"fieldOfTheFuture": {"x": [1, None]}}
    assert await api.get(PODS, "a", namespace="ns") == created


async def test_creating_twice_and_reading_nothing_are_told_apart(api: Api) -> None:
    await api.create(PODS, pod("a"))
    with pytest.raises(AlreadyExists):
        await api.create(PODS, pod("a"))
    with pytest.raises(NotFound, match="GET /api/v1/namespaces/ns/pods/b: 404 NotFound"):
        await api.get(PODS, "b", namespace="ns")


async def test_replacing_an_old_version_is_a_conflict(api: Api) -> None:
    first = await api.create(PODS, pod("a", n=1))
    await api.replace(PODS, {**first, "spec": {"n": 2}})
    with pytest.raises(Conflict):
        await api.replace(PODS, {**first, "spec": {"n": 3}})
    assert (await api.get(PODS, "a", namespace="ns"))["spec"] == {"n": 2}


async def test_status_is_written_apart_from_the_rest(api: Api) -> None:
    stored = await api.create(PODS, pod("a", n=1))
    await api.merge_patch(PODS, "a", {"status": {"phase": "Running"}}, namespace="ns", subresource="status")
    await api.merge_patch(PODS, "a", {"spec": {"n": None, "m": 2}}, namespace="ns")
    now = await api.get(PODS, "a", namespace="ns")
    assert (now["spec"], now["status"], now["metadata"]["uid"]) == (
        {"m": 2},
        {"phase": "Running"},
        stored["metadata"]["uid"],
    )


async def test_deleting_with_a_uid_spares_a_successor_of_the_same_name(api: Api) -> None:
    old = await api.create(PODS, pod("a"))
    await api.delete(PODS, "a", namespace="ns", uid=old["metadata"]["uid"])
    await api.create(PODS, pod("a"))
    with pytest.raises(Conflict):
        await api.delete(PODS, "a", namespace="ns", uid=old["metadata"]["uid"])


async def test_a_failed_test_of_a_json_patch_is_a_conflict_and_changes_nothing(api: Api) -> None:
    await api.create(PODS, pod("a", gates=["x"]))
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "old"},
        {"op": "remove", "path": "/spec/gates/0"},
    ]
    with pytest.raises(Conflict):
        await api.json_patch(PODS, "a", operations, namespace="ns")
    assert (await api.get(PODS, "a", namespace="ns"))["spec"] == {"gates": ["x"]}


async def test_a_json_patch_without_test_that_does_not_apply_is_invalid(api: Api) -> None:
    await api.create(PODS, pod("a"))
    with pytest.raises(Invalid):
        await api.json_patch(PODS, "a", [{"op": "remove", "path": "/spec/none"}], namespace="ns")


async def test_a_json_patch_that_applies_is_one_write(api: Api) -> None:
    stored = await api.create(PODS, pod("a", gates=["x"]))
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": stored["metadata"]["resourceVersion"]},
        {"op": "remove", "path": "/spec/gates/0"},
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}},
    ]
    patched = await api.json_patch(PODS, "a", operations, namespace="ns")
    assert (patched["spec"], patched["metadata"]["annotations"]) == ({"gates": []}, {"a/b": "1"})


async def test_apply_names_its_field_manager(api: Api, server: ApiServer) -> None:
    await api.create(PODS, pod("a"))
    await api.apply(PODS, pod("a", n=1), field_manager="tester")
    assert server.requests[-1] == ("PATCH", "/api/v1/namespaces/ns/pods/a?fieldManager=tester&force=true")


async def test_long_lists_come_in_pages_and_whole(api: Api, server: ApiServer) -> None:
    for number in range(PAGE_SIZE * 2 + 1):
        server.store.create("api/v1/nodes", "", {"metadata": {"name": f"n{number:05}"}})
    items, version = await api.list(NODES)
    assert [item["metadata"]["name"] for item in items] == [f"n{number:05}" for number in range(PAGE_SIZE * 2 + 1)]
    assert version == str(server.store.version)
    assert len(server.requests) == 3


async def test_selectors_reach_the_server(api: Api) -> None:
    labelled = pod("a")
    labelled["metadata"]["labels"] = {"k/x": "1"}
    await api.create(PODS, labelled)
    await api.create(PODS, pod("b"))
    by_label, _ = await api.list(PODS, label_selector="k/x=1")
    by_field, _ = await api.list(PODS, namespace="ns", field_selector="metadata.name=b")
    assert [[item["metadata"]["name"] for item in items] for items in (by_label, by_field)] == [["a"], ["b"]]
