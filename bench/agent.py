"""What the node agent adds to the driver's own time, and what it costs at rest.

One real control plane and kubelet, eight simulated GPUs that take as long as H100s, one agent; the benchmark writes the
specs in the allocator's place. Each round makes the same calls to the driver with and without the agent, in turn, so that
a drift of the machine hits both; and so the writes to disk and API server that no agent can do without, which on a busy
machine are most of what is above the driver's time. Prints a table of medians beside their aims and writes
bench/out/agent.json; `--quick` does few rounds and rests less long. The exit status is 1 where an aim was missed.

    python -m bench.agent [--quick]
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.agent_node import GPUS, Bench, bench_node, bench_stack
from cluster import Cluster
from demo.stack import Stack
from tests.support.processes import Cost

SETTLE_S: Final = 12.0
"""Before a rest is measured: the kubelet writes its own counts within 10 s of a change, and ours follow."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Without an aim it is there to explain the others."""

    name: str
    unit: str
    aim: float | None = None


OVERHEAD: Final = Figure("one slice made, above the driver's time", "ms", 50)
EIGHT: Final = Figure("eight GPUs at once / one", "x", 1.3)
RELEASE: Final = Figure("Pod gone -> room reusable, above the driver's time", "s", 0.5)
WARM: Final = Figure("Pod finished -> its warm slice free", "s", 0.5)
CPU: Final = Figure("CPU at rest, of one core", "%", 0.5)
RESIDENT: Final = Figure("resident memory", "MB", 80)
AWAY: Final = Figure("free slice taken away, above the driver's time", "s")
CREATE: Final = Figure("the driver: one slice made", "ms")
DESTROY: Final = Figure("the driver: one slice destroyed", "ms")
WRITES: Final = Figure("disk and API server: the writes for one slice", "ms")
ONE: Final = Figure("spec written -> one slice free", "ms")
LOOP: Final = Figure("event loop woken at rest, a second", "")
WAKES: Final = Figure("all threads woken at rest, gRPC's included, a second", "")
CALLS: Final = Figure("calls to the driver at rest, a minute and GPU", "")


@dataclass
class Samples:
    """Measured values of each figure."""

    by_figure: dict[Figure, list[float]] = field(default_factory=dict)

    def add(self, figure: Figure, value: float) -> None:
        """Note one."""
        self.by_figure.setdefault(figure, []).append(value)


async def making(bench: Bench, into: Samples) -> None:
    """One slice by the bare driver, by the agent, and on eight GPUs at once; each is taken away again."""
    place = bench.next_place()
    bare = await asyncio.to_thread(bench.bare.measure, place)
    into.add(CREATE, 1000 * bare.create_s)
    into.add(DESTROY, 1000 * bare.destroy_s)
    into.add(WRITES, 1000 * await bench.bare_writes())
    one = {0: place}
    one_s = -await bench.want(one) + await bench.free(one)
    into.add(ONE, 1000 * one_s)
    into.add(OVERHEAD, 1000 * (one_s - bare.create_s))
    into.add(AWAY, -await bench.want({}) + await bench.free({}) - bare.destroy_s)
    everywhere = dict.fromkeys(range(GPUS), bench.next_place())
    eight_s = -await bench.want(everywhere) + await bench.free(everywhere)
    into.add(EIGHT, eight_s / one_s)
    await bench.want({})
    await bench.free({})


async def releasing(bench: Bench, into: Samples) -> None:
    """A Pod that ends on a slice that stays, and one that is deleted from a slice that nobody wants any more."""
    place = bench.next_place()
    bare = await asyncio.to_thread(bench.bare.measure, place)
    one = {0: place}
    await bench.want(one)
    await bench.free(one)
    ending = await bench.run_pod("sleep", "2")
    await bench.used(0)
    into.add(WARM, -await bench.finished(ending) + await bench.free(one))
    staying = await bench.run_pod()
    await bench.used(0)
    await bench.want({})
    await bench.used(0)
    into.add(RELEASE, -await bench.ended_by_deletion(staying) + await bench.free({}) - bare.destroy_s)


async def resting(bench: Bench, into: Samples, *, seconds: float) -> None:
    """Eight slices, one of them used by a Pod, and nothing to do."""
    everywhere = dict.fromkeys(range(GPUS), bench.next_place())
    await bench.want(everywhere)
    await bench.free(everywhere)
    await bench.run_pod()
    await asyncio.sleep(SETTLE_S)
    assert bench.host.process is not None
    pid = bench.host.process.pid
    bench.host.sim.reset_calls()
    before = Cost.of(pid)
    await asyncio.sleep(seconds)
    after = Cost.of(pid)
    into.add(CPU, 100 * (after.cpu_s - before.cpu_s) / seconds)
    into.add(RESIDENT, after.resident_bytes / 1e6)
    into.add(LOOP, (after.loop_wakes - before.loop_wakes) / seconds)
    into.add(WAKES, (after.all_wakes - before.all_wakes) / seconds)
    into.add(CALLS, sum(bench.host.sim.calls().values()) / GPUS * 60 / seconds)


async def measure(stack: Stack, *, rounds: int, rest_s: float) -> Samples:
    """Everything."""
    samples = Samples()
    async with bench_node(stack) as bench:
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            await making(bench, samples)
            await releasing(bench, samples)
        print(f"  at rest for {rest_s:.0f} s", file=sys.stderr, flush=True)
        await resting(bench, samples, seconds=rest_s)
    return samples


def missed(figure: Figure, values: Sequence[float]) -> bool:
    """Whether the median is beyond the aim."""
    return figure.aim is not None and statistics.median(values) > figure.aim


def table(samples: Mapping[Figure, Sequence[float]]) -> str:
    """One line a figure: median, range, aim."""
    lines = [f"{'':<54}{'median':>10}{'lowest':>10}{'highest':>10}{'aim':>8}"]
    for figure, values in sorted(samples.items(), key=lambda item: item[0].aim is None):
        cells = "".join(f"{value:>10.3g}" for value in (statistics.median(values), min(values), max(values)))
        aim = "" if figure.aim is None else f"{figure.aim:>8g}" + ("  MISSED" if missed(figure, values) else "")
        lines.append(f"{figure.name + (f', {figure.unit}' if figure.unit else ''):<54}{cells}{aim}")
    return "\n".join(lines)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    stack = Stack(Cluster.start())
    try:
        bench_stack(stack)
        samples = asyncio.run(measure(stack, rounds=3 if quick else 15, rest_s=15 if quick else 60)).by_figure
    finally:
        stack.stop()
    print(table(samples))
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "agent.json").write_text(json.dumps({figure.name: values for figure, values in samples.items()}, indent=1))
    return int(any(missed(figure, values) for figure, values in samples.items()))


if __name__ == "__main__":
    sys.exit(main())
