"""Finds the coefficients under "durations" in `coefficients.json`, by CMA-ES over simulated traces; starts at those that are there.

    python -m bench.tuning.search [--seconds 240] [--seeds 16] [--write]

What is maximised: the points over FGD less the aim of each mix, on average, and half of the worst mix's again, and a fifth of the
average with lifetimes wrong by a factor of 2. The seeds are 9,000 and up: neither the study's nor the benchmark's.

The shipped numbers: two runs of 200 and 330 seconds on one core, 10 and 16 seeds a mix (numpy's default generator, 1 and up), all
GPUs looked at, right lifetimes alone; the second began at the first's mean. Taken is the second's mean after 138 seconds: the later
ones gained nothing on right lifetimes that a study could show, and lost on wrong ones. Terms that these runs had and that brought
nothing are gone: the aligned pair of windows, weights by the size of the slice, by the GPU's room, and by how far off an end is.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import cma  # type: ignore[import-untyped]
import numpy as np

from allocator.placement.durations import tuned
from allocator.placement.outlook import LOOKS
from bench.tuning import kernel
from bench.tuning.loads import CUT, MIXES, Trace, trace
from bench.tuning.points import Point, coefficients_of, point_of, write
from bench.tuning.study import WRONG_MEAN, Bench, bench
from simulate.load import Declaring

AIMS: Final = {"uniform": 1.1, "small": 2.2, "large": 0.7, "bimodal": 0.9}
"""Points over FGD."""
FIRST_SEED: Final = 9000
STEP: Final = 0.06


@dataclass(frozen=True, slots=True)
class Sample:
    """One seed of one mix: what FGD accepts, and the same arrivals with right and with wrong lifetimes."""

    mix: str
    base: float
    exact: Trace
    wrong: Trace


def samples(on: Bench, seeds: int) -> list[Sample]:
    """The traces of the search."""
    found = []
    for mix in MIXES:
        fgd = on.rules(mix, tuned().coefficients, looks=0)[0]
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            plain = trace(mix, seed, shape=on.space.shape, declaring=None)
            base = kernel.accepted(on.tables, plain, kernel.run(on.tables, fgd, plain), cut=CUT)
            exact = trace(mix, seed, shape=on.space.shape, declaring=Declaring())
            wrong = trace(mix, seed, shape=on.space.shape, declaring=Declaring(error=2.0))
            found.append(Sample(mix, base, exact, wrong))
    return found


def worth(point: Point, on: Bench, among: Sequence[Sample]) -> float:
    """What the search maximises, in points."""
    coefficients = coefficients_of(point)
    rules = {mix: on.rules(mix, coefficients, looks=LOOKS) for mix in MIXES}
    margins: dict[str, list[float]] = {mix: [] for mix in MIXES}
    robust = []
    for sample in among:
        _, u2, declared = rules[sample.mix]
        for load, scale in ((sample.exact, 1.0), (sample.wrong, WRONG_MEAN)):
            taken = kernel.run(on.tables, u2, load, declared=declared, scale=scale)
            points = kernel.accepted(on.tables, load, taken, cut=CUT) - sample.base
            if load is sample.exact:
                margins[sample.mix].append(points - AIMS[sample.mix])
            else:
                robust.append(points)
    means = [float(np.mean(found)) for found in margins.values()]
    return float(np.mean(means)) + 0.5 * min(means) + 0.2 * float(np.mean(robust))


def main() -> None:
    """Search, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.tuning.search")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--write", action="store_true", help="into coefficients.json")
    options = parser.parse_args()
    on = bench()
    among = samples(on, options.seeds)
    strategy = cma.CMAEvolutionStrategy(point_of(tuned().coefficients), STEP, {"popsize": 12, "seed": 1, "verbose": -9})
    until = time.monotonic() + options.seconds
    while time.monotonic() < until:
        asked = strategy.ask()
        strategy.tell(asked, [-worth(point, on, among) for point in asked])
        print(f"{-strategy.result.fbest:.3f} {-np.median(strategy.fit.fit):.3f}", flush=True)
    # The mean of the distribution, not the best point met: that one is best by luck too.
    found = {"durations": asdict(coefficients_of(strategy.result.xfavorite))}
    print(json.dumps(found))
    if options.write:
        write(found)


if __name__ == "__main__":
    main()
