"""What the runs came to, kept run by run, and the estimates that are drawn from it.

Everything is by contestant, mix, load and mode, over the seeds that were run; shares are of 1, times are seconds.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.placement.contestants import CLAIRVOYANT, FGD, FREE_MIGRATION
from bench.placement.plan import Cell
from bench.placement.statistics import Estimate, estimate, paired
from simulate.outcome import Outcome
from simulate.replay import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run of one contestant. What it has no notion of is None: the bound has no requests, free migration no GPUs."""

    slices: float
    requests: float | None = None
    profiles: Mapping[str, float] = field(default_factory=dict)
    utilisation: float | None = None
    gpus: float | None = None
    reused: float | None = None
    wait_mean: float | None = None
    wait_p95: float | None = None
    took: float = 0.0

    @classmethod
    def of(cls, outcome: Outcome, *, contestant: str, took: float) -> "Figures":
        """What a replay came to; `took` is the real time that it needed."""
        waits = outcome.all_waits
        return cls(
            slices=outcome.slices_share,
            requests=outcome.requests_share,
            profiles={str(p): tally.accepted / tally.offered for p, tally in sorted(outcome.profiles.items())},
            utilisation=outcome.utilisation,
            gpus=None if contestant == FREE_MIGRATION else outcome.gpus_in_use,
            reused=outcome.reused_share,
            wait_mean=None if waits is None else waits.mean,
            wait_p95=None if waits is None else waits.p95,
            took=took,
        )


@dataclass(frozen=True, slots=True)
class Where:
    """A cell of the tables, all its seeds together."""

    mix: str
    load: float
    mode: Mode = Mode.LOSS


Measure = Callable[[Figures], float | None]


class Results:
    """All runs."""

    def __init__(self) -> None:
        self._runs: dict[tuple[Where, str], dict[int, Figures]] = defaultdict(dict)

    def add(self, cell: Cell, figures: Mapping[str, Figures]) -> None:
        """What one cell's contestants came to."""
        for contestant, run in figures.items():
            self._runs[Where(cell.mix, cell.load, cell.mode), contestant][cell.seed] = run

    def places(self, mode: Mode | None = None) -> tuple[Where, ...]:
        """Every cell that was run, in the order of running."""
        return tuple(dict.fromkeys(where for where, _ in self._runs if mode in (None, where.mode)))

    def contestants(self, where: Where) -> Iterator[str]:
        """Who ran there."""
        return (name for place, name in self._runs if place == where)

    def runs(self, where: Where, contestant: str) -> Mapping[int, Figures]:
        """By seed; empty where it did not run."""
        return self._runs.get((where, contestant), {})

    def estimate(self, where: Where, contestant: str, measure: Measure) -> Estimate | None:
        """The mean of a measure, or None where it was not taken."""
        values = self._values(where, contestant, measure)
        return estimate(list(values.values())) if values else None

    def difference(self, where: Where, contestant: str, measure: Measure, *, to: str = FGD) -> Estimate | None:
        """The mean paired difference of a measure, or None where one of the two was not taken."""
        ours, theirs = self._values(where, contestant, measure), self._values(where, to, measure)
        return paired(ours, theirs) if ours.keys() & theirs.keys() else None

    def share_of_bound(self, where: Where, contestant: str) -> Estimate | None:
        """Accepted slices as a share of the clairvoyant bound's, seed by seed."""
        ours, bound = self._values(where, contestant, slices), self._values(where, CLAIRVOYANT, slices)
        shares = [ours[seed] / bound[seed] for seed in sorted(ours.keys() & bound.keys())]
        return estimate(shares) if shares else None

    def took(self) -> Iterable[tuple[str, float]]:
        """Real seconds by contestant, all its runs together."""
        total: dict[str, float] = defaultdict(float)
        for (_, contestant), runs in self._runs.items():
            total[contestant] += sum(run.took for run in runs.values())
        return total.items()

    def _values(self, where: Where, contestant: str, measure: Measure) -> dict[int, float]:
        taken = ((seed, measure(run)) for seed, run in self.runs(where, contestant).items())
        return {seed: value for seed, value in taken if value is not None}


def slices(run: Figures) -> float:
    """Accepted memory slices of the offered ones."""
    return run.slices


def requests(run: Figures) -> float | None:
    """Accepted requests of the offered ones."""
    return run.requests
