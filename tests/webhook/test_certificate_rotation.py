"""Against an API server: the Secret, what is served and the caBundle stay in step, whoever interferes (T1 to T7)."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry

from kube.client import Api
from kube.events import EventRecorder
from kube.listwatch import Timing
from tests.support.apiserver import ApiServer, api_server
from tests.support.objectstore import StatusError
from tests.support.waiting import until
from webhook.authority import Names, new_leaf
from webhook.certificates import (
    BUNDLE_KEY,
    LEAF_CERTIFICATE,
    LEAF_KEY,
    Lifetimes,
    Material,
    read_material,
    write_material,
)
from webhook.metrics import Metrics
from webhook.rotation import Objects, Pace, Rotation
from webhook.served import ServedCertificate
from webhook.server import ReviewServer

SECRETS = "api/v1/secrets"
CONFIGURATIONS = "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
EVENTS = "apis/events.k8s.io/v1/events"
OBJECTS = Objects("nos", "certificates", "nos-mig")
NAMES = Names(frozenset({"nos-mig-webhook.nos.svc"}), frozenset({"127.0.0.1"}))
HASTE = Pace(tick_s=0.1, retry_s=0.1)
TIMING = Timing(backoff_first_s=0.05, backoff_cap_s=0.1)
LIFETIMES = Lifetimes(settle=timedelta(seconds=1))


@dataclass
class Replica:
    """One webhook process's certificates, and a server that shows them."""

    rotation: Rotation
    served: ServedCertificate
    registry: CollectorRegistry
    port: int

    def sample(self, name: str) -> float:
        """Read a metric."""
        value = self.registry.get_sample_value(f"nos_mig_webhook_{name}")
        assert value is not None
        return value


@dataclass
class World:
    """The API server, a clock that a test may move, and the replicas."""

    server: ApiServer
    kubeconfig: Path
    lifetimes: Lifetimes = LIFETIMES
    offset: timedelta = timedelta()
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def now(self) -> datetime:
        """The time by our clock."""
        return datetime.now(UTC) + self.offset

    async def replica(self) -> Replica:
        """Start one; it ends with the test."""
        api = await self.stack.enter_async_context(self.server.connect(self.kubeconfig))
        return await self.stack.enter_async_context(self._running(api))

    @asynccontextmanager
    async def _running(self, api: Api) -> AsyncIterator[Replica]:
        served = ServedCertificate(now=self.now)
        registry = CollectorRegistry()
        metrics = Metrics(registry, served)
        recorder = EventRecorder(api, component="webhook", instance="test")
        rotation = Rotation(
            api,
            objects=OBJECTS,
            names=NAMES,
            served=served,
            metrics=metrics,
            recorder=recorder,
            now=self.now,
            lifetimes=self.lifetimes,
            pace=HASTE,
            timing=TIMING,
        )
        reviews = ReviewServer(metrics)
        async with reviews.listening(host="127.0.0.1", port=0, context=served.listening) as port:
            tasks = [asyncio.create_task(rotation.run()), asyncio.create_task(recorder.run())]
            try:
                yield Replica(rotation, served, registry, port)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                assert all(task.cancelled() for task in tasks)

    def material(self) -> Material:
        """What the Secret holds."""
        return read_material(self.server.store.get(SECRETS, "nos", "certificates").get("data") or {})

    def bundle(self) -> bytes:
        """What API servers are told to trust."""
        entry = self.server.store.get(CONFIGURATIONS, "", "nos-mig")["webhooks"][1]
        return base64.b64decode(entry["clientConfig"].get("caBundle") or "")

    async def change_secret(self, data: dict[str, Any]) -> None:
        """Write over some of the Secret's keys."""
        secret = self.server.store.get(SECRETS, "nos", "certificates")
        self.server.store.update(SECRETS, "nos", "certificates", {**secret, "data": {**secret["data"], **data}})
        await self.server.notify()

    async def shake_hands(self, replica: Replica, *, bundle: bytes | None = None) -> bytes:
        """Connect as an API server does, and give the certificate that was shown."""
        context = ssl.create_default_context(cadata=(bundle or self.bundle()).decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _, writer = await asyncio.open_connection("127.0.0.1", replica.port, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        assert isinstance(shown, bytes)
        return shown


def configuration(**client_config: str) -> dict[str, Any]:
    """Somebody else's entry stands first, so that ours is found by its name."""
    entries = [
        ("other.example", {"caBundle": "b3RoZXI="}),
        ("mig.nos.nebuly.com", {"url": "https://x/mutate", **client_config}),
    ]
    return {
        "metadata": {"name": "nos-mig"},
        "webhooks": [{"name": name, "clientConfig": config} for name, config in entries],
    }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with api_server() as server:
        server.store.create(CONFIGURATIONS, "", configuration())
        world = World(server, server.kubeconfig(tmp_path / "kubeconfig"))
        async with world.stack:
            yield world


@pytest.fixture
async def replica(world: World) -> Replica:
    replica = await world.replica()
    await until(lambda: not replica.rotation.trouble())
    return replica


def leaf_der(world: World) -> bytes:
    leaf = world.material().leaf
    assert leaf is not None
    return leaf.certificate.public_bytes(Encoding.DER)


def refuse_writes(*methods: str) -> Callable[[web.Request], Any]:
    async def intercept(request: web.Request) -> web.StreamResponse | None:
        if request.method in methods and "/secrets" in request.path:
            return web.json_response(StatusError(403, "Forbidden", "no").body, status=403)
        return None

    return intercept


async def test_from_nothing_a_replica_becomes_trusted(world: World, replica: Replica) -> None:
    assert await world.shake_hands(replica) == leaf_der(world)
    assert world.bundle() == world.material().bundle_pem
    assert world.server.store.get(CONFIGURATIONS, "", "nos-mig")["webhooks"][0]["clientConfig"] == {
        "caBundle": "b3RoZXI="
    }


async def test_two_replicas_that_start_at_once_share_one_authority(world: World) -> None:
    """T3: the loser of the race adopts the winner's."""
    replicas = await asyncio.gather(*(world.replica() for _ in range(3)))
    await until(lambda: not any(one.rotation.trouble() for one in replicas))
    assert {await world.shake_hands(one) for one in replicas} == {leaf_der(world)}
    assert len(world.material().bundle) == 1
    created = [path for method, path in world.server.requests if method == "POST" and "/secrets" in path]
    assert len(created) >= 2, "they did race"


async def test_a_restarted_replica_goes_on_with_what_is_stored(world: World, replica: Replica) -> None:
    before = world.server.store.get(SECRETS, "nos", "certificates")
    again = await world.replica()
    await until(lambda: not again.rotation.trouble())
    assert world.server.store.get(SECRETS, "nos", "certificates") == before
    assert await world.shake_hands(again) == await world.shake_hands(replica)


async def test_a_new_pair_is_served_at_once_and_live_connections_survive(world: World, replica: Replica) -> None:
    """T1."""
    context = ssl.create_default_context(cadata=world.bundle().decode())
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port, ssl=context)
    old = await world.shake_hands(replica)
    authority = world.material().authority
    assert authority is not None
    leaf = new_leaf(authority, NAMES, now=world.now(), life=timedelta(days=9))
    data = write_material(Material(world.material().bundle, authority, leaf))
    await world.change_secret({LEAF_CERTIFICATE: data[LEAF_CERTIFICATE], LEAF_KEY: data[LEAF_KEY]})
    await until(lambda: replica.served.leaf is not None and replica.served.leaf.certificate == leaf.certificate)
    assert await world.shake_hands(replica) == leaf_der(world) != old
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 404")
    writer.transport.abort()


async def test_a_torn_pair_leaves_the_old_one_served_and_is_told_once(world: World, replica: Replica) -> None:
    """T2: even where it cannot be mended."""
    world.server.interceptors.append(refuse_writes("PUT", "PATCH"))
    before = await world.shake_hands(replica)
    other = write_material(Material(world.material().bundle, world.material().authority, world.material().authority))
    await world.change_secret({LEAF_KEY: other[LEAF_KEY]})
    await until(lambda: replica.sample("certificate_errors_total") == 1)
    await until(lambda: world.server.store.collection(EVENTS))
    await asyncio.sleep(0.5)
    assert await world.shake_hands(replica) == before
    assert replica.rotation.trouble() == []
    assert replica.sample("certificate_errors_total") == 1
    (event,) = world.server.store.collection(EVENTS).values()
    assert event["reason"] == "CertificateBroken"
    assert "tls.key is not the key of tls.crt" in event["note"]
    assert event["regarding"]["name"] == "certificates"


async def test_a_broken_bundle_is_never_published(world: World, replica: Replica) -> None:
    """T2: what API servers trust stays as it is, even where the Secret cannot be mended."""
    world.server.interceptors.append(refuse_writes("PUT", "PATCH"))
    bundle = world.bundle()
    await world.change_secret({BUNDLE_KEY: base64.b64encode(b"garbage").decode()})
    await until(lambda: replica.sample("certificate_errors_total") == 1)
    await asyncio.sleep(0.5)
    assert world.bundle() == bundle
    await world.shake_hands(replica)


async def test_a_torn_pair_is_mended_with_the_leaf_that_is_in_use(world: World, replica: Replica) -> None:
    """T2."""
    before = await world.shake_hands(replica)
    await world.change_secret({LEAF_CERTIFICATE: "", LEAF_KEY: "AAAA"})
    await until(lambda: not world.material().faults)
    assert leaf_der(world) == before == await world.shake_hands(replica)


@pytest.mark.parametrize("damage", ["deleted", "emptied", "garbage"])
async def test_a_lost_secret_is_made_again_and_no_handshake_fails(world: World, replica: Replica, damage: str) -> None:
    """T6."""
    authority, bundle = world.material().authority, world.bundle()
    if damage == "deleted":
        world.server.store.delete(SECRETS, "nos", "certificates")
        await world.server.notify()
    else:
        value = "" if damage == "emptied" else base64.b64encode(b"garbage").decode()
        await world.change_secret(dict.fromkeys(write_material(world.material()), value))

    def renewed() -> bool:
        held = (SECRETS in world.server.store.objects) and ("nos", "certificates") in world.server.store.collection(
            SECRETS
        )
        return held and not world.material().faults and world.material().authority != authority

    while not renewed():
        await world.shake_hands(replica, bundle=bundle)
    await until(lambda: world.bundle() == world.material().bundle_pem)
    await until(lambda: len(world.material().bundle) == 1)
    await until(lambda: world.bundle() == world.material().bundle_pem)
    assert await world.shake_hands(replica) == leaf_der(world)
    assert world.bundle() != bundle


@pytest.mark.parametrize("found", [{}, {"caBundle": ""}, {"caBundle": "bm90IG91cnM="}])
async def test_a_ca_bundle_that_somebody_changed_is_put_back(
    world: World, replica: Replica, found: dict[str, str]
) -> None:
    """T5."""
    assert not replica.rotation.trouble()
    bundle = world.bundle()
    stored = world.server.store.get(CONFIGURATIONS, "", "nos-mig")
    world.server.store.update(CONFIGURATIONS, "", "nos-mig", {**stored, "webhooks": configuration(**found)["webhooks"]})
    await world.server.notify()
    await until(lambda: world.bundle() == bundle)


async def test_a_reinstalled_configuration_is_trusted_again(world: World, replica: Replica) -> None:
    """T5: a new object of the same name."""
    bundle = world.bundle()
    world.server.store.delete(CONFIGURATIONS, "", "nos-mig")
    await world.server.notify()
    await asyncio.sleep(0.3)
    assert not replica.rotation.trouble(), "what was told once is no reason to leave the Service"
    world.server.store.create(CONFIGURATIONS, "", configuration())
    await world.server.notify()
    await until(lambda: world.bundle() == bundle)


async def test_without_the_configuration_a_replica_is_not_ready_and_says_what_to_do(world: World) -> None:
    world.server.store.delete(CONFIGURATIONS, "", "nos-mig")
    replica = await world.replica()
    await until(lambda: replica.served.leaf)
    assert replica.rotation.trouble() == ["the MutatingWebhookConfiguration nos-mig does not exist; install the chart"]
    world.server.store.create(CONFIGURATIONS, "", configuration())
    await world.server.notify()
    await until(lambda: not replica.rotation.trouble())


async def test_without_the_right_to_write_a_replica_says_so(world: World) -> None:
    """A6."""
    world.server.interceptors.append(refuse_writes("POST"))
    replica = await world.replica()
    await until(lambda: any("Forbidden" in reason for reason in replica.rotation.trouble()))
    assert "there is no serving certificate yet" in replica.rotation.trouble()


async def test_400_days_later_it_is_not_ready_until_it_could_renew(
    world: World, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """T7: readiness, metric and log say that the certificate expired."""
    refuse = refuse_writes("PUT", "PATCH")
    world.server.interceptors.append(refuse)
    assert replica.sample("certificate_valid") == 1
    world.offset = timedelta(days=400)
    assert any("the serving certificate expired at" in reason for reason in replica.rotation.trouble())
    assert replica.sample("certificate_valid") == 0
    assert replica.sample("certificate_seconds_left") < 0
    await until(lambda: "the serving certificate expired at" in caplog.text)
    world.server.interceptors.remove(refuse)
    await until(lambda: not replica.rotation.trouble())
    assert replica.sample("certificate_valid") == 1
    assert world.bundle() == world.material().bundle_pem


async def test_an_authority_is_rotated_under_load_without_one_failed_handshake(world: World) -> None:
    """T4: two replicas, lives of seconds, and an API server that learns of each caBundle half a second late."""
    world.lifetimes = Lifetimes(authority=timedelta(seconds=15), leaf=timedelta(seconds=9), settle=timedelta(seconds=1))
    replicas = [await world.replica(), await world.replica()]
    await until(lambda: not any(one.rotation.trouble() for one in replicas))
    first, shown = world.material().bundle[0], set()
    seen: list[tuple[float, bytes]] = []
    clock = asyncio.get_running_loop().time
    ends = clock() + 14
    while clock() < ends:
        seen.append((clock(), world.bundle()))
        late = next((bundle for at, bundle in reversed(seen) if at <= clock() - 0.5), seen[0][1])
        for replica in replicas:
            shown.add(await world.shake_hands(replica, bundle=late))
        await asyncio.sleep(0.02)
    assert first not in world.material().bundle
    assert len(shown) >= 3, "the leaf was renewed, too"
