"""What declared lifetimes are worth beside FGD, paired, on seeds that no search has seen.

    python -m bench.tuning.study [--seeds 40] [--looks 16 100]

Prints memory slices accepted in points over FGD with 95 % intervals: U2 without lifetimes, lifetimes declared rightly, wrongly by
a factor of 2 either way, and rightly by half of the Pods.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allocator.placement.durations import Coefficients, tuned
from allocator.placement.outlook import LOOKS
from allocator.placement.states import StateSpace, space_of
from bench.gpu import a100, plain
from bench.tuning import kernel, values
from bench.tuning.kernel import Rules
from bench.tuning.loads import CUT, MIXES, shares, trace
from bench.tuning.tables import Tables, tables_of
from simulate.load import Declaring

FIRST_SEED = 2000
WRONG_MEAN = 1.25
"""The mean of what is declared, true mean 1, where it is twice or half the truth."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share."""

    space: StateSpace
    tables: Tables

    def rules(self, mix: str, coefficients: Coefficients, *, looks: int) -> tuple[Rules, Rules, Rules]:
        """FGD, U2, and the rules for declared lifetimes, for a known mix."""
        share = shares(mix, self.space.shape)
        value = values.u2(self.space, share)
        ours = kernel.adjusted(self.space, value, coefficients)
        tables = (values.fgd(self.space, share), value, ours)
        fgd, u2, declared = (kernel.rules_of(self.tables, table, coefficients, looks=looks) for table in tables)
        return fgd, u2, declared


def bench() -> Bench:
    """For the GPU of the study."""
    space = space_of(plain(a100()))
    return Bench(space, tables_of(space))


def over_fgd(mix: str, seed: int, *, on: Bench, looks: Sequence[int]) -> Mapping[str, float]:
    """Points over FGD on one seed, by policy."""
    shape, tables = on.space.shape, on.tables
    plain = trace(mix, seed, shape=shape, declaring=None)
    told = {
        "exact": (trace(mix, seed, shape=shape, declaring=Declaring()), 1.0),
        "wrong": (trace(mix, seed, shape=shape, declaring=Declaring(error=2.0)), WRONG_MEAN),
        "half": (trace(mix, seed, shape=shape, declaring=Declaring(share=0.5)), 1.0),
    }
    fgd, u2, _ = on.rules(mix, tuned().coefficients, looks=0)
    base = kernel.accepted(tables, plain, kernel.run(tables, fgd, plain), cut=CUT)
    found = {"u2": kernel.accepted(tables, plain, kernel.run(tables, u2, plain), cut=CUT) - base}
    for most in looks:
        declared = on.rules(mix, tuned().coefficients, looks=most)[2]
        for name, (load, scale) in told.items():
            taken = kernel.run(tables, u2, load, declared=declared, scale=scale)
            found[f"{name}, {most} looks"] = kernel.accepted(tables, load, taken, cut=CUT) - base
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.tuning.study")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--looks", type=int, nargs="+", default=[LOOKS])
    options = parser.parse_args()
    on = bench()
    for mix in MIXES:
        seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
        rows = [over_fgd(mix, seed, on=on, looks=options.looks) for seed in seeds]
        for name in rows[0]:
            points = np.array([row[name] for row in rows])
            margin = 1.96 * points.std(ddof=1) / len(points) ** 0.5
            print(f"{mix:8} {name:18} {points.mean():+.2f} ± {margin:.2f}", flush=True)


if __name__ == "__main__":
    main()
