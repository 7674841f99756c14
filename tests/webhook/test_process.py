"""`nos-mig webhook` as a process: listens, becomes ready, answers, ends in order, and stays small."""

import asyncio
import base64
import json
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.support.admission import ONE, container, patch_of, pod, review
from tests.support.apiserver import ApiServer, api_server
from tests.support.waiting import until, until_answered

CONFIGURATIONS = "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
GOOD = review(pod(container("main", {ONE: "1"})))
MAX_REST_MIB = 80


@dataclass
class Webhook:
    """A running process and how to reach it."""

    process: asyncio.subprocess.Process
    port: int
    health: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        """Where reviews are posted."""
        return f"https://127.0.0.1:{self.port}/mutate"

    async def readiness(self) -> tuple[int, str]:
        """Ask the probe."""
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.health}/readyz") as response:
            return response.status, await response.text()

    async def reads(self, status: int, text: str) -> bool:
        """Whether the probe answers this."""
        return await self.readiness() == (status, text)


def ports_in(path: Path) -> dict[str, int] | None:
    """Read the ready file, once it is there."""
    return json.loads(path.read_text()) if path.exists() else None


def trusted(server: ApiServer) -> str | None:
    """Give the bundle that API servers are told to trust, once it is there."""
    config = server.store.get(CONFIGURATIONS, "", "nos-mig")["webhooks"][0]["clientConfig"]
    return base64.b64decode(config["caBundle"]).decode() if config.get("caBundle") else None


@asynccontextmanager
async def started(server: ApiServer, folder: Path, *options: str) -> AsyncIterator[Webhook]:
    server.store.create(
        CONFIGURATIONS,
        "",
        {"metadata": {"name": "nos-mig"}, "webhooks": [{"name": "mig.nos.nebuly.com", "clientConfig": {"url": "x"}}]},
    )
    kubeconfig = server.kubeconfig(folder / "kubeconfig")
    words = ["--kubeconfig", str(kubeconfig), "--namespace=nos", "--port=0", "--health-port=0", "--ip=127.0.0.1"]
    words += ["--ready-file", str(folder / "ready"), *options]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "cli", "webhook", *words)
    try:
        ports = await until(lambda: ports_in(folder / "ready"))
        bundle = await until(lambda: trusted(server))
        assert ports is not None
        yield Webhook(process, ports["port"], ports["health"], ssl.create_default_context(cadata=bundle))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with api_server() as server, started(server, tmp_path, "--drain-seconds=4") as webhook:
        yield webhook


async def test_it_becomes_ready_answers_and_stays_small(webhook: Webhook) -> None:
    """W1, and its memory at rest."""
    async with aiohttp.ClientSession() as client:
        await until_answered(lambda: webhook.reads(200, "ok\n"))
        async with client.post(webhook.url, json=GOOD, ssl=webhook.trust) as response:
            assert len(patch_of(await response.json())) == 3
        async with client.get(f"http://127.0.0.1:{webhook.health}/metrics") as response:
            assert 'nos_mig_webhook_reviews_total{dry_run="false",verdict="allowed"} 1.0' in await response.text()
    assert resident_mib(webhook.process.pid) <= MAX_REST_MIB


async def test_sigterm_under_load_loses_no_review(webhook: Webhook) -> None:
    """W18: readiness goes off, reviews are still answered, and only then is a connection refused; the exit status is 0."""
    answered: list[int] = []
    unready = asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20)) as client:

        async def ask() -> None:
            """An API server asks replicas that are ready; those who are not get no new connections a moment later."""
            while not unready.is_set():
                async with client.post(webhook.url, json=GOOD, ssl=webhook.trust) as response:
                    answered.append(response.status)

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(ask())
            await until(lambda: len(answered) >= 100)
            webhook.process.send_signal(signal.SIGTERM)
            await until_answered(lambda: webhook.reads(503, "shutting down\n"))
            before = len(answered)
            await until(lambda: len(answered) > before + 20)
            unready.set()
        assert await webhook.process.wait() == 0
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.post(webhook.url, json=GOOD, ssl=webhook.trust)
    assert set(answered) == {200}


async def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    async with api_server() as server:
        port = server.url.rpartition(":")[2]
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
        words = [
            "--kubeconfig",
            str(kubeconfig),
            "--namespace=nos",
            f"--port={port}",
            "--health-port=-1",
            "--drain-seconds=0",
        ]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", "webhook", *words, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
    assert process.returncode == 2
    assert len(said.splitlines()) == 1
    assert b"address already in use" in said


def resident_mib(pid: int) -> float:
    """What the process has in memory, its libraries included."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
