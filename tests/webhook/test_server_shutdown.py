"""W18: an end in order loses no review, and readiness is off before a connection is refused."""

import asyncio
import json

import pytest

from tests.support.admission import ONE, container, pod, review
from tests.webhook.conftest import Running, Start
from webhook.connections import Limits

BODY = json.dumps(review(pod(container("main", {ONE: "1"})))).encode()
HEAD = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begun(webhook: Running) -> Streams:
    """Open a connection and send half a review."""
    reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port, ssl=webhook.trust)
    writer.write(HEAD + BODY[:100])
    return reader, writer


async def finished(streams: Streams) -> bytes:
    """Send the rest and read to the end of the connection."""
    reader, writer = streams
    writer.write(BODY[100:])
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.transport.abort()
    return answer


@pytest.mark.usefixtures("many_descriptors")
async def test_two_hundred_reviews_in_flight_are_all_answered(start: Start) -> None:
    """W18: each with `Connection: close`, so that its peer goes elsewhere."""
    async with start(Limits(body_s=30, finish_s=30)) as webhook:
        held = [await begun(webhook) for _ in range(200)]
        await asyncio.sleep(0.2)
        rest = asyncio.gather(*(finish_later(streams) for streams in held))
    answers = await rest
    assert len(answers) == 200
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)
    assert webhook.reviews("allowed") == 200


async def finish_later(streams: Streams) -> bytes:
    """Finish once the server is stopping."""
    await asyncio.sleep(0.5)
    return await finished(streams)


async def test_while_it_drains_new_connections_are_still_answered(start: Start) -> None:
    """W18: readiness is off by then, and only afterwards is a connection refused."""
    seen: list[tuple[bool, bytes]] = []

    async def come_late(webhook: Running) -> None:
        await asyncio.sleep(0.3)
        seen.append((webhook.server.draining, await finished(await begun(webhook))))

    async with start(drain_s=1.0) as webhook:
        assert not webhook.server.draining
        late = asyncio.create_task(come_late(webhook))
    await late
    ((draining, answer),) = seen
    assert draining
    assert answer.startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionRefusedError):
        await begun(webhook)
