"""Probes and metrics of a process, over a real socket."""

import aiohttp
from prometheus_client import Counter

from runtime.health import serve_health
from runtime.metrics import new_registry


async def fetch(url: str, accept: str = "") -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


async def test_ready_says_no_with_every_reason_until_there_is_none() -> None:
    reasons = ["the Pods are not listed yet", "nobody leads"]
    registry = new_registry(component="test", version="1")
    async with serve_health(host="127.0.0.1", port=0, registry=registry, ready=lambda: reasons) as url:
        assert url is not None
        status, text, _ = await fetch(f"{url}/readyz")
        assert (status, text) == (503, "the Pods are not listed yet\nnobody leads\n")
        assert (await fetch(f"{url}/healthz"))[:2] == (200, "ok\n")
        reasons.clear()
        assert (await fetch(f"{url}/readyz"))[:2] == (200, "ok\n")


async def test_metrics_are_those_of_the_given_registry_in_either_format() -> None:
    registry = new_registry(component="test", version="1.2")
    Counter("nos_mig_things", "Things", registry=registry).inc(3)
    async with serve_health(host="127.0.0.1", port=0, registry=registry) as url:
        status, text, content_type = await fetch(f"{url}/metrics")
        assert (status, content_type.startswith("text/plain")) == (200, True)
        assert "nos_mig_things_total 3.0" in text
        assert 'nos_mig_build_info{component="test",version="1.2"} 1.0' in text
        assert "process_resident_memory_bytes" in text
        _, text, content_type = await fetch(f"{url}/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert content_type.startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")


async def test_without_a_port_nothing_listens() -> None:
    registry = new_registry(component="test", version="1")
    async with serve_health(host="127.0.0.1", port=None, registry=registry) as url:
        assert url is None
