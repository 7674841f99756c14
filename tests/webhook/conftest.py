"""A running `ReviewServer` behind real TLS, and what a client needs to trust it."""

import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from webhook.authority import Names, new_authority, new_leaf
from webhook.connections import Limits
from webhook.metrics import Metrics
from webhook.served import ServedCertificate
from webhook.server import ReviewServer


@dataclass
class Running:
    """One server in this process."""

    server: ReviewServer
    registry: CollectorRegistry
    port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        """Where reviews are posted."""
        return f"https://127.0.0.1:{self.port}/mutate"

    def session(self, *, connections: int = 100) -> aiohttp.ClientSession:
        """Give a client that trusts it."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.trust, limit=connections),
            timeout=aiohttp.ClientTimeout(total=30),
        )

    def reviews(self, verdict: str, *, dry_run: bool = False) -> float:
        """Read the counter."""
        labels = {"verdict": verdict, "dry_run": str(dry_run).lower()}
        return self.registry.get_sample_value("nos_mig_webhook_reviews_total", labels) or 0.0


class Start(Protocol):
    """Starts a server; it ends with the block."""

    def __call__(self, limits: Limits = ..., *, drain_s: float = ...) -> AbstractAsyncContextManager[Running]:
        """Start one."""


@asynccontextmanager
async def running(limits: Limits = Limits(), *, drain_s: float = 0.0) -> AsyncIterator[Running]:  # noqa: B008 -- frozen
    now = datetime.now(UTC)
    authority = new_authority(now=now, life=timedelta(days=1))
    served = ServedCertificate(now=lambda: datetime.now(UTC))
    served.serve(new_leaf(authority, Names(addresses=frozenset({"127.0.0.1"})), now=now, life=timedelta(days=1)))
    registry = CollectorRegistry()
    server = ReviewServer(Metrics(registry, served), limits=limits)
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    async with server.listening(host="127.0.0.1", port=0, context=served.listening, drain_s=drain_s) as port:
        yield Running(server, registry, port, trust)


@pytest.fixture
def start() -> Start:
    return running


@pytest.fixture
async def webhook() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


@pytest.fixture
def many_descriptors() -> None:
    """Both ends of each connection are in this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
