"""The demo's story: start everything, submit Pods, show what becomes of them, check it, say what to try next."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cluster import ClusterError
from demo import stack as stacks
from demo.check import Outcome, judge
from demo.onlooker import Onlooker
from demo.options import Options
from demo.picture import gpus_picture, pods_table, summary
from demo.scenario import DemoPod, Expect, mix, seed
from demo.stack import Stack
from demo.timeline import PodTrack, Step, Timeline
from kube.client import Api
from kube.errors import ApiError
from kube.resource import PODS
from mig.migspec import MigMode
from mig.placements import GpuShape

SETTLE_TIMEOUT_S: Final = 60.0
"""For the whole mix on simulated hardware with real latencies; it takes about 5 s."""
NEXT: Final = """\
Try, in another terminal:
  export KUBECONFIG={kubeconfig} PATH={tools}:$PATH
  kubectl get migspecs                             what is used and free, a line a node
  kubectl describe migspec {node}          every slice, who holds it
  kubectl describe pod whole                       why it waits
  kubectl delete pod large-0 large-1               make room, and look again"""


class Story:
    """One telling of the demo on a running stack."""

    def __init__(self, stack: Stack, api: Api, *, console: Console, began: float) -> None:
        self._stack = stack
        self._api = api
        self._console = console
        self._began = began
        self._onlooker = Onlooker(api, namespace="default")
        self._refusals: dict[str, str] = {}

    async def tell(self, *, stay: bool) -> bool:
        """Submit, show, check; True when every Pod came out as it should."""
        async with self._onlooker.watching():
            live = Live(console=self._console, refresh_per_second=8, get_renderable=self._picture)
            with live if self._console.is_terminal else nullcontext():
                pods = await self._submit_all()
                outcome = judge(pods, self._timeline, self._refusals, self._stack)
                if stay:
                    self._report(outcome)
                    await asyncio.Event().wait()
            if not self._console.is_terminal:
                self._console.print(self._picture())
        if not stay:
            self._report(outcome)
        return outcome.ok

    @property
    def _timeline(self) -> Timeline:
        return self._onlooker.timeline

    async def _submit_all(self) -> list[DemoPod]:
        shapes = await self._shapes()
        first = seed(str(min(offer.profile for offer in shapes[0][0].offers if not offer.profile.attributes)))
        await self._submit(first)
        await self._until(lambda timeline: _came_out(first, timeline), "the first Pod to run")
        track = self._timeline.named(first.name)
        if track is not None and (taken := track.seconds(Step.RUNNING)) is not None:
            self._say(f"the first Pod runs: {taken:.2f} s after kubectl apply")
        *most, last = mix(shapes)
        for pod in most:
            await self._submit(pod)
        await self._until(lambda timeline: all(_reserved(pod, timeline) for pod in most), "slices for the mix")
        await self._submit(last)
        pods = [first, *most, last]
        await self._until(lambda timeline: all(_came_out(pod, timeline) for pod in pods), "every Pod to come out")
        return pods

    async def _shapes(self) -> list[list[GpuShape]]:
        """What the nodes' GPUs offer, once every agent has reported."""
        names = sorted(self._stack.nodes)

        def reported(timeline: Timeline) -> bool:
            return all((spec := timeline.migspecs.get(name)) and spec.status and spec.status.gpus for name in names)

        await self._until(reported, "the agents' first reports")
        return [_enabled_shapes(self._timeline, name) for name in names]

    async def _submit(self, pod: DemoPod) -> None:
        manifest: dict[str, Any] = pod.manifest
        self._timeline.submitted("default", pod.name, self._onlooker.clock())
        try:
            await self._api.create(PODS, manifest, namespace="default")
        except ApiError as error:
            self._refusals[pod.name] = str(error)
            self._say(f"{pod.name}: {error}")

    async def _until(self, holds: Callable[[Timeline], bool], what: str) -> None:
        """Wait, saying every few seconds how far it is; a time-out is left to the check at the end."""
        deadline = self._onlooker.clock() + SETTLE_TIMEOUT_S
        while not await self._onlooker.until(holds, timeout_s=5.0):
            self._say(f"waiting for {what}: {summary(self._timeline)}")
            if self._onlooker.clock() > deadline:
                return

    def _picture(self) -> RenderableType:
        tracks = [track for track in self._timeline.pods.values() if not track.gone]
        refused = [
            Text(f"{name}: refused, {reason}", style="red", overflow="fold") for name, reason in self._refusals.items()
        ]
        return Group(gpus_picture(self._timeline.migspecs), Text(), pods_table(tracks), *refused, Text())

    def _report(self, outcome: Outcome) -> None:
        for line in outcome.lines:
            self._console.print(line, style="green" if outcome.ok else "red", highlight=False)
        hint = NEXT.format(
            kubeconfig=self._stack.cluster.kubeconfig,
            tools=self._stack.directory / "bin",
            node=min(self._stack.nodes),
        )
        self._console.print(hint, highlight=False, soft_wrap=True)

    def _say(self, text: str) -> None:
        self._console.print(f"[{time.monotonic() - self._began:5.1f} s] {text}", highlight=False, markup=False)


def _enabled_shapes(timeline: Timeline, name: str) -> list[GpuShape]:
    migspec = timeline.migspecs.get(name)
    if migspec is None or migspec.status is None:
        raise ClusterError(f"the agent of {name} has not reported its GPUs; see its log in the logs folder")
    return [gpu.shape for gpu in migspec.status.gpus if gpu.mig_mode is MigMode.ENABLED]


def _reserved(pod: DemoPod, timeline: Timeline) -> bool:
    track = timeline.named(pod.name)
    return pod.expect is Expect.REFUSED or (track is not None and Step.RESERVED in track.steps)


def _came_out(pod: DemoPod, timeline: Timeline) -> bool:
    """Whether a Pod is where it was expected to end."""
    if pod.expect is Expect.REFUSED:
        return True
    track: PodTrack | None = timeline.named(pod.name)
    if track is None:
        return False
    return Step.RUNNING in track.steps if pod.expect is Expect.RUNS else bool(track.reason)


def show(options: Options, *, stay: bool) -> int:
    """Run the whole demo; 0 when every Pod came out as it should."""
    began = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160)

    def say(text: str) -> None:
        console.print(f"[{time.monotonic() - began:5.1f} s] {text}", highlight=False, markup=False)

    with stacks.running(options.plans(), allocators=2, say=say) as stack:
        say("ready; submitting Pods")
        ok = asyncio.run(_tell(stack, console=console, began=began, stay=stay))
    return 0 if ok else 1


async def _tell(stack: Stack, *, console: Console, began: float, stay: bool) -> bool:
    async with Api.connect(stack.cluster.kubeconfig, user_agent="nos-mig-demo") as api:
        return await Story(stack, api, console=console, began=began).tell(stay=stay)
