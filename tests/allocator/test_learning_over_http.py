"""What one allocator learned, the next one starts with: whole processes, one after the other, over real HTTP."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mig.names import LEASE, MIX_ANNOTATION
from tests.allocator import objects
from tests.allocator.storeapi import NODES, PODS
from tests.support.apiserver import ApiServer, api_server
from tests.support.leases import COLLECTION as LEASES

pytestmark = pytest.mark.timeout(120)

PATIENCE_S = 40
"""A process of ours starts within a second; a busy machine is slower."""


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with api_server() as made:
        made.store.create(NODES, "", objects.node("n1"))
        yield made


class Allocator:
    """A process that stands for leader."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text(encoding="utf-8")

    async def kill(self) -> None:
        """End it with no chance to do anything more."""
        self._process.kill()
        await self._process.wait()


@contextlib.asynccontextmanager
async def allocator(server: ApiServer, folder: Path, name: str) -> AsyncIterator[Allocator]:
    """Run one, with a short lease."""
    kubeconfig, log = server.kubeconfig(folder / "config"), folder / f"{name}.log"
    command = [sys.executable, "-m", "cli", "allocator", "--namespace", "nos", "--kubeconfig", str(kubeconfig)]
    command += ["--identity", name, "--health-port", "0", "--lease-duration", "2", "--renew-deadline", "1.5"]
    command += ["--retry-period", "0.2"]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*command, stderr=errors)
    try:
        yield Allocator(process, log)
    finally:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()


def lease(server: ApiServer) -> Mapping[str, Any]:
    """The Lease as stored; empty before there is one."""
    stored: Mapping[str, Any] = server.store.collection(LEASES).get(("nos", LEASE), {})
    return stored


def holder(server: ApiServer) -> str:
    """Who leads."""
    spec: Mapping[str, Any] = lease(server).get("spec", {})
    return str(spec.get("holderIdentity", ""))


def annotation(server: ApiServer) -> str:
    """The mix as it stands in the Lease."""
    annotations: Mapping[str, str] = lease(server).get("metadata", {}).get("annotations") or {}
    return annotations.get(MIX_ANNOTATION, "")


def arrivals(server: ApiServer) -> dict[str, int]:
    """Profile → arrivals in the Lease, the fading of a few arrivals rounded away; empty while there is nothing to read."""
    with contextlib.suppress(json.JSONDecodeError):
        return {name: round(weight) for name, weight in json.loads(annotation(server))["arrivals"].items()}
    return {}


async def submit(server: ApiServer, name: str, *profiles: str, second: int = 0) -> None:
    """Create a Pod, made some seconds into the hour."""
    server.store.create(PODS, "default", objects.pod(name, *profiles, created=f"2026-01-01T00:00:{second:02}Z"))
    await server.notify()


async def learned(server: ApiServer, *, by: str, expected: Mapping[str, int]) -> None:
    """Wait until this leader has written this mix."""
    await server.until(lambda: holder(server) == by and arrivals(server) == expected, within_s=PATIENCE_S)


async def test_a_successor_starts_with_the_mix_and_counts_each_pod_that_it_finds_at_most_once(
    server: ApiServer, tmp_path: Path
) -> None:
    """L10, L11: the first leader is killed, so nothing but its renewals can have told what it learned."""
    await submit(server, "a", "1g.10gb", "7g.80gb", second=1)
    async with allocator(server, tmp_path, "first") as first:
        await learned(server, by="first", expected={"1g.10gb": 1, "7g.80gb": 1})
        await submit(server, "b", "1g.10gb", second=2)
        await learned(server, by="first", expected={"1g.10gb": 2, "7g.80gb": 1})
        await first.kill()
    server.store.delete(PODS, "default", "a")
    # The very second of the last one that was counted, and later.
    await submit(server, "c", "3g.40gb", second=2)
    await submit(server, "d", "3g.40gb", second=3)
    async with allocator(server, tmp_path, "second") as second:
        await learned(server, by="second", expected={"1g.10gb": 2, "7g.80gb": 1, "3g.40gb": 2})
        assert "the demand mix goes on from 3 arrivals" in second.said
        # New to a term is new, also where its creation time is that of another server's clock.
        await submit(server, "e", "2g.20gb", second=0)
        await learned(server, by="second", expected={"1g.10gb": 2, "7g.80gb": 1, "3g.40gb": 2, "2g.20gb": 1})
    async with allocator(server, tmp_path, "third"):
        await submit(server, "f", "1g.10gb", second=9)
        await learned(server, by="third", expected={"1g.10gb": 3, "7g.80gb": 1, "3g.40gb": 2, "2g.20gb": 1})


async def test_a_damaged_annotation_is_said_costs_the_mix_alone_and_is_replaced(
    server: ApiServer, tmp_path: Path
) -> None:
    damaged = {"name": LEASE, "annotations": {MIX_ANNOTATION: '{"version":1,"arriv', "team": "batch"}}
    server.store.create(LEASES, "nos", {"metadata": damaged, "spec": {"leaseTransitions": 4}})
    await submit(server, "a", "1g.10gb")
    async with allocator(server, tmp_path, "only") as only:
        await learned(server, by="only", expected={"1g.10gb": 1})
        assert only.said.count("starts afresh") == 1
        assert lease(server)["metadata"]["annotations"]["team"] == "batch"
        await server.until(lambda: "MigAllocated" in str(server.store.get(PODS, "default", "a")), within_s=PATIENCE_S)


async def test_what_somebody_writes_over_the_mix_of_a_leader_is_written_over_at_its_next_renewal(
    server: ApiServer, tmp_path: Path
) -> None:
    await submit(server, "a", "1g.10gb")
    async with allocator(server, tmp_path, "only"):
        await learned(server, by="only", expected={"1g.10gb": 1})
        edited = server.store.get(LEASES, "nos", LEASE)
        edited["metadata"]["annotations"] = {MIX_ANNOTATION: "mine"}
        server.store.update(LEASES, "nos", LEASE, edited)
        await learned(server, by="only", expected={"1g.10gb": 1})
