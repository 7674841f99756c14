"""How fast the webhook answers over TLS, beside a handler that answers a constant: what our own work costs.

Each server runs alone in a process of its own, started one after the other and measured in turns, so that both meet the
same machine. The clients keep their connections, as API servers do. Times are from the request's first byte to the
answer's last, in milliseconds.

    python -m bench.webhook [--clients 10] [--reviews 5000] [--rounds 5]
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import re
import ssl
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

from aiohttp import web
from prometheus_client import CollectorRegistry

from webhook.authority import Names, Pair, new_authority, new_leaf
from webhook.main import calm_collector
from webhook.metrics import Metrics
from webhook.review import answer, read_review
from webhook.served import ServedCertificate
from webhook.server import ReviewServer
from webhook.verdict import verdict

HOST = "127.0.0.1"
LENGTH = re.compile(rb"(?i)content-length: (\d+)")


def review() -> bytes:
    """A review as the API server sends it for a Deployment's Pod with a slice: two containers, about 6 kB."""
    environment = [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(20)]
    mounts = [{"name": f"volume-{n}", "mountPath": f"/mnt/{n}", "readOnly": True} for n in range(5)]
    resources = {
        "limits": {"nvidia.com/mig-1g.10gb": "1", "memory": "8Gi"},
        "requests": {"nvidia.com/mig-1g.10gb": "1"},
    }
    main = {"name": "main", "image": "train:1", "env": environment, "volumeMounts": mounts, "resources": resources}
    log = {"name": "log", "image": "log:1", "env": environment, "volumeMounts": mounts, "resources": {}}
    metadata = {
        "generateName": "train-7d4b9c-",
        "namespace": "default",
        "labels": {f"example.com/label-{n}": "value" for n in range(10)},
        "annotations": {f"example.com/note-{n}": "y" * 60 for n in range(10)},
        "managedFields": [
            {"manager": "kube-controller-manager", "fieldsV1": {"f:spec": {f"f:{n}": {} for n in range(60)}}}
        ],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [main, log], "priority": 0}}
    request = {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "object": pod}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def serve(kind: str, leaf: Pair, pipe: Connection) -> None:
    """Run one of the two servers in this process until told to stop."""
    calm_collector()
    asyncio.run({"webhook": _webhook, "bare": _bare}[kind](leaf, pipe))


async def _webhook(leaf: Pair, pipe: Connection) -> None:
    served = ServedCertificate(now=lambda: datetime.now(UTC))
    served.serve(leaf)
    server = ReviewServer(Metrics(CollectorRegistry(), served))
    async with server.listening(host=HOST, port=0, context=served.listening) as port:
        await _until_told(pipe, port)


async def _bare(leaf: Pair, pipe: Connection) -> None:
    """The least that aiohttp can do: read the body, answer the bytes that the webhook would."""
    served = ServedCertificate(now=lambda: datetime.now(UTC))
    served.serve(leaf)
    asked = read_review(review())
    constant = answer(asked, verdict(asked.request))

    async def handle(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=constant, content_type="application/json")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=served.listening)
    await site.start()
    await _until_told(pipe, site.port)
    await runner.cleanup()


async def _until_told(pipe: Connection, port: int) -> None:
    pipe.send(port)
    await asyncio.to_thread(pipe.recv)


async def measured(port: int, trust: ssl.SSLContext, *, clients: int, reviews: int) -> list[float]:
    """Ask so many reviews over so many connections; the milliseconds of each, connecting and the first one apart.

    Plain streams instead of an HTTP client, whose own time would be most of what is measured.
    """
    body, times = review(), list[float]()
    head = f"POST /mutate HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    sent = head.encode() + body
    clock = asyncio.get_running_loop().time

    async def client(count: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=trust)
        for number in range(count + 1):
            began = clock()
            writer.write(sent)
            answered = await reader.readuntil(b"\r\n\r\n")
            assert answered.startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(int(LENGTH.search(answered)[1]))  # type: ignore[index]  # aiohttp always sends it
            if number:
                times.append(1000 * (clock() - began))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client(reviews // clients))
    return times


def quantiles(times: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th of a hundred."""
    ranks = statistics.quantiles(times, n=100)
    return ranks[49], ranks[98]


def pure_cost_us(repeat: int = 2000) -> float:
    """Reading, judging and answering one review without any network, in microseconds."""
    body = review()
    began = time.perf_counter()
    for _ in range(repeat):
        asked = read_review(body)
        answer(asked, verdict(asked.request))
    return 1e6 * (time.perf_counter() - began) / repeat


@contextlib.contextmanager
def running(kind: str, leaf: Pair) -> Iterator[int]:
    """Run a server in a process of its own; gives its port."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(kind, leaf, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(10)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=10, help="connections, each with one review at a time")
    parser.add_argument("--reviews", type=int, default=5000, help="in each round, over all clients")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    now = datetime.now(UTC)
    authority = new_authority(now=now, life=timedelta(days=1))
    leaf = new_leaf(authority, Names(addresses=frozenset({HOST})), now=now, life=timedelta(days=1))
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    print(f"{len(review())} bytes a review; {pure_cost_us():.0f} µs to read, judge and answer one without network")
    print("milliseconds    bare: p50     p99    webhook: p50     p99    ratio: p50     p99")
    with running("bare", leaf) as bare, running("webhook", leaf) as ours:
        for number in range(1, args.rounds + 1):
            found = [
                quantiles(asyncio.run(measured(port, trust, clients=args.clients, reviews=args.reviews)))
                for port in (bare, ours)
            ]
            (bare_50, bare_99), (ours_50, ours_99) = found
            ratios = f"{ours_50 / bare_50:10.2f} {ours_99 / bare_99:7.2f}"
            print(
                f"round {number:<8} {bare_50:10.2f} {bare_99:7.2f} {ours_50:15.2f} {ours_99:7.2f} {ratios}", flush=True
            )


if __name__ == "__main__":
    main()
