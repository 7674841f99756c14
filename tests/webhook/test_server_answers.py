"""Over TLS: reviews are answered, everything else gets a 4xx, and the server lives on."""

import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.admission import ONE, container, patch_of, pod, review
from tests.webhook.conftest import Running

GOOD = review(pod(container("main", {ONE: "1"})))
BAD = review(pod(container("main", {ONE: "2"})))
JSON = {"Content-Type": "application/json"}


async def posted(webhook: Running, body: Any, headers: dict[str, str] = JSON) -> tuple[int, str]:
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with webhook.session() as client, client.post(webhook.url, data=data, headers=headers) as response:
        return response.status, await response.text()


async def test_a_good_pod_comes_back_gated_and_a_bad_one_denied(webhook: Running) -> None:
    """W1, W2."""
    async with webhook.session() as client:
        async with client.post(webhook.url, json=GOOD) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert len(patch_of(await response.json())) == 3
        async with client.post(webhook.url, json=BAD) as response:
            assert response.status == 200
            assert (await response.json())["response"]["allowed"] is False
    assert (webhook.reviews("allowed"), webhook.reviews("denied")) == (1, 1)


async def test_a_dry_run_is_counted_as_one(webhook: Running) -> None:
    """W10: the same verdict; only the counter tells."""
    dry = {**GOOD, "request": {**GOOD["request"], "dryRun": True}}
    assert await posted(webhook, json.dumps(dry)) == await posted(webhook, json.dumps(GOOD))
    assert webhook.reviews("allowed", dry_run=True) == webhook.reviews("allowed") == 1


async def slowly(body: bytes) -> AsyncIterator[bytes]:
    """A body of unknown length."""
    for start in range(0, len(body), 2**16):
        yield body[start : start + 2**16]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b'{"a":' * 100_000, JSON, 400),
        (json.dumps({**GOOD, "apiVersion": "admission.k8s.io/v1beta1"}).encode(), JSON, 400),
        (json.dumps(GOOD).encode(), {"Content-Type": "text/plain"}, 415),
        (gzip.compress(b"0" * 20 * 2**20), {**JSON, "Content-Encoding": "gzip"}, 415),
        (b"0" * (3 * 2**20 + 1), JSON, 413),
    ],
    ids=["empty", "truncated", "deep", "v1beta1", "no JSON", "gzip bomb", "one byte too much"],
)
async def test_what_is_no_review_gets_a_4xx_and_the_next_review_its_answer(
    webhook: Running, body: bytes, headers: dict[str, str], status: int
) -> None:
    """W11."""
    assert (await posted(webhook, body, headers))[0] == status
    assert webhook.reviews("malformed") == 1
    assert (await posted(webhook, json.dumps(GOOD)))[0] == 200


@pytest.mark.parametrize("declared", [True, False], ids=["Content-Length", "chunked"])
async def test_20_mb_are_refused_without_being_read(webhook: Running, *, declared: bool) -> None:
    """W11: the connection ends while the peer still sends, so the peer may see the answer or the end."""
    body = b"0" * 20 * 2**20
    try:
        status, _ = await posted(webhook, body if declared else slowly(body))
    except aiohttp.ClientConnectionError:
        status = 413
    assert status == 413
    assert webhook.reviews("malformed") == 1
    assert (await posted(webhook, json.dumps(GOOD)))[0] == 200


async def test_other_paths_and_methods_are_named_as_wrong(webhook: Running) -> None:
    async with webhook.session() as client:
        async with client.post(webhook.url.replace("/mutate", "/")) as response:
            assert (response.status, await response.text()) == (404, "only /mutate is served here\n")
        async with client.get(webhook.url) as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")
