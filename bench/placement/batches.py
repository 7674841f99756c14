"""How long the allocator's engine plans many Pods at once, and what it weighs beside the nodes that it is told.

Unlike the other measurements this one goes the whole way of the allocator: nodes with CPU and memory, Pods with requests, one plan
for all who wait, on an empty fleet of 100 nodes of 8 GPUs. Times are the thread's own on the processor.
"""

import gc
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import Final

from rich.table import Table

from allocator.placement.batch import Waiting, plan
from allocator.placement.engine import Engine
from allocator.placement.fleet import GpuView, NodeFacts, NodeView, Resources, Wish
from allocator.placement.placement import Placement
from bench.gpu import a100
from bench.placement.aims import Verdict
from bench.placement.churn import resident_mib
from bench.placement.contestants import PER_NODE
from bench.placement.plan import mean_mix
from bench.placement.statistics import Estimate
from mig.demand import Need
from mig.names import PARTITIONING_LABEL, PARTITIONING_MIG

NODES: Final = 100
SIZES: Final = (250, 500, 1000)
_MOST_MS: Final = 50.0
_MOST_MIB: Final = 200e6 / 2**20
_LINEAR: Final = 1.5
"""Per Pod, the largest batch may take so many times as long as the smallest."""

_NODE: Final = Resources(milli_cpu=64_000, memory=2**40, pods=110)
_POD: Final = Resources(milli_cpu=1000, memory=2**33, pods=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTimes:
    """One size of batch: the median time in milliseconds, and how many found a place."""

    pods: int
    ms: float
    placed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """`mib`: by how much the process grows with an engine that knows `nodes` nodes, the nodes themselves left out."""

    times: tuple[BatchTimes, ...]
    nodes: int
    mib: float

    def verdicts(self) -> Iterator[Verdict]:
        """What became of the aims."""
        first, last = self.times[0], self.times[-1]
        yield Verdict(
            f"{last.pods} Pods planned on {NODES} nodes, ms", f"≤ {_MOST_MS:.0f}", _exact(last.ms), last.ms <= _MOST_MS
        )
        ratio = (last.ms / last.pods) / (first.ms / first.pods)
        what = f"a Pod in a batch of {last.pods} to one in a batch of {first.pods}"
        yield Verdict(what, f"≤ {_LINEAR}", _exact(ratio), ratio <= _LINEAR)
        what = f"the engine's index of {self.nodes} nodes, MiB"
        yield Verdict(what, f"≤ {_MOST_MIB:.0f}", _exact(self.mib), self.mib <= _MOST_MIB)

    def table(self) -> Table:
        """Times by size."""
        table = Table(
            title=f"Pods planned at once, on {NODES} nodes of {PER_NODE} GPUs; processor time",
            title_justify="left",
            title_style="bold",
            header_style="",
        )
        for column in ("Pods", "ms", "µs a Pod", "placed"):
            table.add_column(column, justify="right")
        for one in self.times:
            table.add_row(f"{one.pods:,}", f"{one.ms:.1f}", f"{1000 * one.ms / one.pods:.0f}", f"{one.placed:,}")
        return table


def measure_batches(*, quick: bool) -> BatchReport:
    """Measure; a quick run weighs a smaller engine."""
    nodes = 1000 if quick else 5000
    with get_context("spawn").Pool(1) as pool:
        times = tuple(pool.apply(_times, (pods, 3 if quick else 9)) for pods in SIZES)
    with get_context("spawn").Pool(1) as pool:
        return BatchReport(times=times, nodes=nodes, mib=pool.apply(_weigh, (nodes,)))


def _times(pods: int, repeats: int) -> BatchTimes:
    took, placed = [], 0
    for seed in range(repeats + 1):  # the first one works out what every later one has
        engine, waiting = Engine(), _waiting(pods, seed)
        engine.sync(_nodes(NODES))
        gc.collect()
        began = time.thread_time()
        answers = plan(engine, waiting)
        took.append(1000 * (time.thread_time() - began))
        placed = sum(isinstance(answer, Placement) for answer in answers)
    return BatchTimes(pods=pods, ms=median(took[1:]), placed=placed)


def _weigh(nodes: int) -> float:
    small = Engine()
    small.sync(_nodes(2))
    plan(small, _waiting(20, 0))
    views, waiting = _nodes(nodes), _waiting(nodes, 0)
    engine = Engine()
    gc.collect()
    before = resident_mib()
    engine.sync(views)
    plan(engine, waiting)
    return resident_mib() - before


def _nodes(count: int) -> Sequence[NodeView]:
    facts = (
        NodeFacts(f"node-{place:05}", f"uid-{place}", {PARTITIONING_LABEL: PARTITIONING_MIG}, (), True, False, _NODE)
        for place in range(count)
    )
    return [
        NodeView(it, _NODE, tuple(GpuView(f"GPU-{it.name}-{gpu}", "A100", a100()) for gpu in range(PER_NODE)))
        for it in facts
    ]


def _waiting(count: int, seed: int) -> Sequence[Waiting]:
    rng, mix = random.Random(seed), mean_mix("uniform")  # noqa: S311 - no secret hangs on it
    profiles = rng.choices(list(mix), list(mix.values()), k=count)
    return [
        Waiting(Wish(f"uid-{place}", "default", f"pod-{place}", (Need(profile, ("main",)),), requests=_POD))
        for place, profile in enumerate(profiles)
    ]


def _exact(value: float) -> Estimate:
    return Estimate(value, float("inf"), 1)
