"""A term over real HTTP: fence, lists, watches, rounds and writes, with nothing of the allocator replaced."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from allocator.fence import highest_epoch
from allocator.main import Term
from allocator.metrics import Metrics
from kube.events import EventRecorder
from kube.lease import LeadershipLost
from mig.migspec_json import spec_from_json
from tests.allocator import objects
from tests.allocator.machines import Machine, schedule
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.support.apiserver import ApiServer, api_server
from tests.support.objectstore import JsonObject

CONFIG_MAPS = "api/v1/configmaps"


class Site:
    """A server, one node, and a term that runs."""

    def __init__(self, server: ApiServer, term: Term) -> None:
        self.server = server
        self.store = server.store
        self.term = term
        self.machine = Machine(server.store, "n1", ("GPU-1-0",))

    async def until(self, true: Callable[[], object]) -> None:
        """Let agent, scheduler and kubelet work until something holds."""
        async with asyncio.timeout(15):
            while not true():
                self.machine.collect()
                while self.machine.work():
                    pass
                self.machine.report()
                schedule(self.store, Random(0))
                self.machine.hand_out(Random(0))
                await self.server.notify()
                await asyncio.sleep(0.01)

    def pod(self, name: str) -> JsonObject:
        """A Pod as stored."""
        return self.store.get(PODS, "default", name)

    def is_bound(self, name: str) -> bool:
        """Whether the Pod has a node."""
        return bool(self.pod(name)["spec"].get("nodeName"))

    def is_claimed(self, name: str) -> bool:
        """Whether the stored spec holds a slice for the Pod."""
        spec = spec_from_json(self.store.get(MIGSPECS, "", "n1")["spec"])
        return any(claim.pod == name for _, _, claim in spec.claims())

    async def submit(self, name: str, *profiles: str) -> None:
        """Create a Pod."""
        self.store.create(PODS, "default", objects.pod(name, *profiles))
        await self.server.notify()


@contextlib.asynccontextmanager
async def site(server: ApiServer, kubeconfig: Path, *, epoch: int = 1) -> AsyncIterator[Site]:
    """Run a term."""
    async with server.connect(kubeconfig) as api:
        recorder = EventRecorder(api, component="test", instance="test")
        term = Term(api, recorder, Metrics(CollectorRegistry()), namespace="nos", geometries="geometries")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(recorder.run()), group.create_task(term.run(epoch))]
            yield Site(server, term)
            for task in tasks:
                task.cancel()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with api_server() as made:
        yield made


async def test_a_pod_gets_its_slice_and_runs_and_its_events_tell_the_story(server: ApiServer, tmp_path: Path) -> None:
    server.store.create(NODES, "", objects.node("n1"))
    async with site(server, server.kubeconfig(tmp_path / "config")) as s:
        await s.until(lambda: ("", "n1") in s.store.collection(MIGSPECS))
        await s.submit("a", "3g.40gb")
        await s.until(lambda: s.pod("a")["spec"].get("nodeName"))
        assert s.term.unready() == ()
        await s.until(
            lambda: any(
                "MigAllocated" in str(obj) for obj in s.store.collection("apis/events.k8s.io/v1/events").values()
            )
        )


async def test_a_reservation_follows_its_pod_within_milliseconds(server: ApiServer, tmp_path: Path) -> None:
    server.store.create(NODES, "", objects.node("n1"))
    async with site(server, server.kubeconfig(tmp_path / "config")) as s:
        await s.until(s.machine.wanted)
        took = []
        for number in range(7):
            began = time.perf_counter()
            await s.submit(f"p{number}", "1g.10gb")
            await server.until(partial(s.is_claimed, f"p{number}"))
            took.append(time.perf_counter() - began)
            await s.until(partial(s.is_bound, f"p{number}"))
        assert sorted(took)[3] < 0.2, took


async def test_conflicts_on_half_of_all_writes_lose_and_double_nothing(server: ApiServer, tmp_path: Path) -> None:
    """A7."""
    random = Random(7)

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        if request.method == "PATCH" and random.random() < 0.5:
            body = {"kind": "Status", "status": "Failure", "code": 409, "reason": "Conflict", "message": "chance"}
            return web.json_response(body, status=409)
        return None

    server.store.create(NODES, "", objects.node("n1"))
    server.interceptors.append(refuse)
    async with site(server, server.kubeconfig(tmp_path / "config")) as s:
        await s.until(s.machine.wanted)
        for number in range(7):
            await s.submit(f"p{number}", "1g.10gb")
        await s.until(lambda: all(s.pod(f"p{number}")["spec"].get("nodeName") for number in range(7)))
        assert len(set(s.machine.devices.values())) == 7
        patches = [path for method, path in server.requests if method == "PATCH"]
        assert len(patches) < 100, "bounded retries"


async def test_a_term_writes_its_epoch_into_every_migspec_before_it_lists_anything(
    server: ApiServer, tmp_path: Path
) -> None:
    """L7, L8."""
    for name in ("n1", "n2"):
        uid = server.store.create(NODES, "", objects.node(name))["metadata"]["uid"]
        owner = [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]
        server.store.create(
            MIGSPECS, "", {"metadata": {"name": name, "ownerReferences": owner}, "spec": {"leaderEpoch": 4}}
        )
    async with site(server, server.kubeconfig(tmp_path / "config"), epoch=5) as s:
        await s.until(lambda: server.asked("/api/v1/pods"))
        first = next(place for place, (_, path) in enumerate(server.requests) if path.startswith("/api/v1/"))
        fences = [path for method, path in server.requests[:first] if method == "PATCH"]
        assert sorted(fences) == [f"/{MIGSPECS}/n1", f"/{MIGSPECS}/n2"]
        assert {obj["spec"]["leaderEpoch"] for obj in s.store.collection(MIGSPECS).values()} == {5}


async def test_a_term_ends_where_a_higher_epoch_stands(server: ApiServer, tmp_path: Path) -> None:
    server.store.create(MIGSPECS, "", {"metadata": {"name": "n1"}, "spec": {"leaderEpoch": 9}})
    async with server.connect(server.kubeconfig(tmp_path / "config")) as api:
        assert await highest_epoch(api) == 9
    with pytest.raises(ExceptionGroup) as caught:
        async with site(server, tmp_path / "config", epoch=5):
            await asyncio.sleep(5)
    assert caught.group_contains(LeadershipLost)


async def test_a_bad_config_map_is_told_in_an_event_and_changes_nothing(server: ApiServer, tmp_path: Path) -> None:
    server.store.create(NODES, "", objects.node("n1"))
    good = "- models: [A100]\n  allowedGeometries:\n    - 1g.10gb: 7"
    config_map = {"metadata": {"name": "geometries"}, "data": {"defaults.yaml": good}}
    server.store.create(CONFIG_MAPS, "nos", config_map)
    async with site(server, server.kubeconfig(tmp_path / "config")) as s:
        await s.until(s.machine.wanted)
        server.store.update(
            CONFIG_MAPS, "nos", "geometries", {**config_map, "data": {"defaults.yaml": good, "overrides.yaml": "- 1"}}
        )
        await s.until(
            lambda: any(
                "overrides.yaml" in str(obj) for obj in s.store.collection("apis/events.k8s.io/v1/events").values()
            )
        )
        await s.submit("a", "7g.80gb")
        await s.until(lambda: "GeometryForbids" in str(s.pod("a")))
