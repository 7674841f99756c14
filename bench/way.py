"""How long a Pod's way takes, step by step, beside the same Pods on slices that exist from the start.

One cluster, one run: 1, 20 and 100 Pods at once on 2 nodes x 8 H100, each kind of Pod in turn so that a drift of the machine
hits all of them: `static` (a plain device plugin, no gate), `made` (no slice exists yet), `warm` (the slices are there), and
`h100` (as `made`, on hardware that takes as long as an H100). Prints a table and writes bench/out/way.json; `--quick` does
few rounds of 1 and 20.

    python -m bench.way [--quick]
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo import stack as stacks
from demo.onlooker import Onlooker
from demo.plan import node_plan
from demo.stack import Stack
from demo.timeline import PodTrack, Step
from kube.client import Api
from kube.resource import PODS
from tests.support.plain_plugin import PlainPlugin

NAMESPACE = "default"
RESOURCE = "static.example/slice"
STEPS = (Step.RESERVED, Step.READY, Step.UNGATED, Step.BOUND, Step.RUNNING)


@dataclass
class Result:
    """Seconds from create to each step: the median Pod's and the last Pod's, one entry a round."""

    median: dict[Step, list[float]] = field(default_factory=dict)
    last: dict[Step, list[float]] = field(default_factory=dict)

    def add(self, tracks: Sequence[PodTrack]) -> None:
        """Note one round's Pods."""
        for step in STEPS:
            taken = [seconds for track in tracks if (seconds := track.seconds(step)) is not None]
            if len(taken) == len(tracks):
                first = min(track.steps[Step.CREATED] for track in tracks)
                self.median.setdefault(step, []).append(statistics.median(taken))
                self.last.setdefault(step, []).append(max(track.steps[step] for track in tracks) - first)


class Bench:
    """One cluster, and the ways to put Pods on it."""

    def __init__(self, stack: Stack, api: Api, onlooker: Onlooker) -> None:
        self._stack = stack
        self._api = api
        self._onlooker = onlooker
        self._serial = 0

    async def run(self, kind: str, count: int, *, resource: str, group: str, into: Result) -> None:
        """Create `count` Pods at once, wait until all run, note their steps, delete them."""
        self._serial += 1
        names = [f"{kind}-{self._serial}-{n}" for n in range(count)]
        for name in names:
            self._onlooker.timeline.submitted(NAMESPACE, name, self._onlooker.clock())
        create = [
            self._api.create(PODS, manifest(name, resource, group), namespace=NAMESPACE, timeout_s=60) for name in names
        ]
        await asyncio.gather(*create)
        tracks = await self._tracks(names)
        into.add(tracks)
        await asyncio.gather(*(self._api.delete(PODS, name, namespace=NAMESPACE) for name in names))
        await self._until(lambda: all(track.gone for track in tracks), "the Pods gone")
        await self._until(
            lambda: not any(list(s.spec.claims()) for s in self._onlooker.timeline.migspecs.values()), "release"
        )
        await asyncio.sleep(1.0)

    async def no_slices(self, *nodes: str) -> None:
        """Take every free slice away, by taking the nodes back and handing them over again."""
        specs = self._onlooker.timeline.migspecs
        await asyncio.to_thread(self._stack.take_back, *nodes)
        await self._until(lambda: not set(nodes) & set(specs), "the MigSpecs gone")
        await asyncio.to_thread(self._stack.hand_over, *nodes)
        await self.reported(*nodes)

    async def reported(self, *nodes: str) -> None:
        """Wait until the nodes' agents have reported."""
        specs = self._onlooker.timeline.migspecs
        await self._until(
            lambda: all(n in specs and (s := specs[n].status) and s.gpus and specs[n].spec.gpus for n in nodes),
            "reports",
        )
        await asyncio.sleep(0.5)

    async def _tracks(self, names: Sequence[str]) -> list[PodTrack]:
        def all_run() -> bool:
            tracks = [self._onlooker.timeline.named(name) for name in names]
            return all(track is not None and Step.RUNNING in track.steps for track in tracks)

        await self._until(all_run, "all Pods running")
        return [track for name in names if (track := self._onlooker.timeline.named(name)) is not None]

    async def _until(self, holds: Any, what: str) -> None:
        if not await self._onlooker.until(lambda _: holds(), timeout_s=120):
            raise TimeoutError(f"never seen: {what}")


def manifest(name: str, resource: str, group: str) -> dict[str, Any]:
    """The same Pod but for the resource and the nodes."""
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sleep", "infinity"],
        "resources": {"limits": {resource: 1}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeSelector": {"bench": group}, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }


async def measure(stack: Stack, *, counts: Sequence[int], rounds: Mapping[int, int]) -> dict[tuple[str, int], Result]:
    """All kinds and counts, interleaved."""
    results: dict[tuple[str, int], Result] = {}
    mig = "nvidia.com/mig-1g.10gb"
    async with AsyncExitStack() as held:
        api = await held.enter_async_context(Api.connect(stack.cluster.kubeconfig, user_agent="nos-mig-bench"))
        onlooker = await held.enter_async_context(Onlooker(api, namespace=NAMESPACE).watching())
        bench = Bench(stack, api, onlooker)
        for name in ("fast-a", "fast-b"):
            plugin = PlainPlugin(
                stack.nodes[name].node.device_plugin_dir,
                resource=RESOURCE,
                devices=[f"static-{number}" for number in range(56)],
                socket="static.sock",
            )
            await held.enter_async_context(plugin.serving())
        await bench.reported("fast-a", "fast-b", "real-a", "real-b")
        await asyncio.sleep(12)  # the kubelet publishes the static devices within 10 s
        for count in counts:
            for _ in range(rounds[count]):
                print(f"  {count} Pods…", file=sys.stderr, flush=True)
                await bench.run(
                    "static",
                    count,
                    resource=RESOURCE,
                    group="fast",
                    into=results.setdefault(("static", count), Result()),
                )
                await bench.no_slices("fast-a", "fast-b")
                await bench.run(
                    "made", count, resource=mig, group="fast", into=results.setdefault(("made", count), Result())
                )
                await bench.run(
                    "warm", count, resource=mig, group="fast", into=results.setdefault(("warm", count), Result())
                )
                await bench.no_slices("real-a", "real-b")
                await bench.run(
                    "h100", count, resource=mig, group="real", into=results.setdefault(("h100", count), Result())
                )
    return results


def table(results: Mapping[tuple[str, int], Result]) -> str:
    """Median of the rounds, and what stands above static."""
    lines = [
        f"{'Pods':>4} {'kind':<7}"
        + "".join(f"{step.value:>13}" for step in STEPS)
        + f"{'last running':>14}{'/ static':>10}"
    ]
    for (kind, count), result in sorted(results.items(), key=lambda item: (item[0][1], item[0][0])):
        cells = "".join(
            f"{statistics.median(result.median[step]):>12.2f}s" if step in result.median else f"{'-':>13}"
            for step in STEPS
        )
        last = statistics.median(result.last[Step.RUNNING])
        static = statistics.median(results["static", count].last[Step.RUNNING])
        lines.append(f"{count:>4} {kind:<7}{cells}{last:>13.2f}s{last / static:>10.2f}")
    return "\n".join(lines)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    gpus = ["h100-80gb"] * 8
    plans = [
        node_plan(name, *gpus, latencies=name.startswith("real")) for name in ("fast-a", "fast-b", "real-a", "real-b")
    ]
    with stacks.running(plans, allocators=1, say=lambda text: print(f"  {text}", file=sys.stderr)) as stack:
        for name in stack.nodes:
            stack.cluster.kubectl("label", "node", name, f"bench={name.split('-')[0]}")
        rounds = {1: 3, 20: 1, 100: 1} if quick else {1: 9, 20: 3, 100: 3}
        results = asyncio.run(measure(stack, counts=[1, 20] if quick else [1, 20, 100], rounds=rounds))
    print(table(results))
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    as_json = {
        f"{kind} {count}": {"median": result.median, "last": result.last} for (kind, count), result in results.items()
    }
    (out / "way.json").write_text(json.dumps(as_json, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
