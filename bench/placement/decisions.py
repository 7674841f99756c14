"""How fast the engine decides, what its index weighs, and how it meets many Pods at once; beside scans of the whole fleet.

Aims in microseconds hold on the machine that they are measured on, so each stands beside a scan in the same run, as a ratio.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.placement.aims import Verdict
from bench.placement.churn import Times, decision_times
from bench.placement.contestants import DEFAULT, DURATIONS, FGD, FIRST_FIT
from bench.placement.halffull import Round, half_full
from bench.placement.statistics import Estimate

_P99_US: Final = {DEFAULT: 30.0, DURATIONS: 300.0}
_INDEX_MIB: Final = 200.0 * 1e6 / 2**20
_FLAT: Final = 2.0
"""The median decision on 50 times as many GPUs may take so many times as long: caches of the processor, not the algorithm."""

_SCANNED: Final = 1000
"""Nodes on which the scans are measured last: above, filling the fleet takes them minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionReport:
    """All that was measured; `half_full` by contestant."""

    times: tuple[Times, ...]
    half_full: Mapping[str, tuple[Round, ...]]

    def verdicts(self) -> Iterator[Verdict]:
        """What became of the aims."""
        for contestant, limit in _P99_US.items():
            ours = [times for times in self.times if times.contestant == contestant]
            for times in ours:
                what = f"{contestant}: decision p99 on {times.nodes} nodes, µs"
                yield Verdict(what, f"≤ {limit:.0f}", _exact(times.p99), times.p99 <= limit)
            ratio = ours[-1].p50 / ours[0].p50
            what = f"{contestant}: median on {ours[-1].nodes} nodes to that on {ours[0].nodes}"
            yield Verdict(what, f"≤ {_FLAT}", _exact(ratio), ratio <= _FLAT)
        largest = max((times for times in self.times if times.contestant == DEFAULT), key=lambda times: times.nodes)
        what = f"{DEFAULT}: growth of the process with {largest.nodes} nodes, MiB"
        yield Verdict(what, f"≤ {_INDEX_MIB:.0f}", _exact(largest.mib), largest.mib <= _INDEX_MIB)
        share = placed_share(self.half_full[DEFAULT])
        yield Verdict(
            "20 Pods on 10 half-full GPUs: placed of those that can be, %", "100", _exact(100 * share), share >= 1
        )

    def show(self, console: Console) -> None:
        """Both tables."""
        console.print(_times(self.times))
        console.print(_half_full(self.half_full))


def measure_decisions(*, quick: bool) -> DecisionReport:
    """Measure everything, one thing after the other; a quick run leaves the largest fleet out."""
    sizes = (100, 1000) if quick else (100, 1000, 5000)
    samples = 2000 if quick else 20_000
    times = [
        decision_times(name, nodes=nodes, samples=samples if name in _P99_US else samples // 20)
        for nodes in sizes
        for name in (DEFAULT, DURATIONS, FGD, FIRST_FIT)
        if name in _P99_US or nodes <= (100 if quick else _SCANNED)
    ]
    names = (DEFAULT, "best-fit", FIRST_FIT, "nos")
    rounds = 5 if quick else 40
    return DecisionReport(times=tuple(times), half_full={name: tuple(half_full(name, rounds=rounds)) for name in names})


def placed_share(rounds: tuple[Round, ...]) -> float:
    """Pods placed, of those that can be."""
    return sum(one.placed for one in rounds) / sum(one.possible for one in rounds)


def _exact(value: float) -> Estimate:
    return Estimate(value, float("inf"), 1)


def _times(measured: tuple[Times, ...]) -> Table:
    title = "One decision on a fleet that is 85 % full, nodes of 8 GPUs; processor time in µs"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    table.add_column("policy")
    for column in ("nodes", "p50", "p99", "longest", "first fit's p50 / its p50", "MiB grown", "full %"):
        table.add_column(column, justify="right")
    scans = {times.nodes: times.p50 for times in measured if times.contestant == FIRST_FIT}
    for times in measured:
        table.add_row(
            times.contestant,
            f"{times.nodes:,}",
            f"{times.p50:.1f}",
            f"{times.p99:.1f}",
            f"{times.longest:.0f}",
            f"{scans[times.nodes] / times.p50:.1f}" if times.nodes in scans else "",
            f"{times.mib:.0f}",
            f"{100 * times.full:.0f}",
        )
    return table


def _half_full(measured: Mapping[str, tuple[Round, ...]]) -> Table:
    title = "20 Pods at once on 10 half-full GPUs, means of the rounds"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    table.add_column("policy")
    for column in ("placed of those that can be %", "GPUs touched", "fewest GPUs that would do", "rounds"):
        table.add_column(column, justify="right")
    for name, rounds in measured.items():
        count = len(rounds)
        table.add_row(
            name,
            f"{100 * placed_share(rounds):.1f}",
            f"{sum(one.touched for one in rounds) / count:.2f}",
            f"{sum(one.needed for one in rounds) / count:.2f}",
            str(count),
        )
    return table
