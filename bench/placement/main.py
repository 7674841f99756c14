"""The placement benchmark: what the shipped engine accepts beside every published policy, and how fast it decides.

100 GPUs of 80 GB, Poisson arrivals, exponential lifetimes of an hour on average; who finds no place is gone, or, in the queue
modes, waits. Prints tables and what became of each aim, and writes bench/out/placement.json with every run's figures. `--quick`
takes two minutes and shows signs alone; the full run takes up to 20 minutes on two cores.

    python -m bench.placement [--quick] [--workers 2] [--out bench/out/placement.json]
"""

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.placement.aims import Verdict, verdicts, wrong_signs
from bench.placement.batches import measure_batches
from bench.placement.decisions import measure_decisions
from bench.placement.document import document
from bench.placement.measure import measure
from bench.placement.plan import full, quick
from bench.placement.tables import show

OUT = Path(__file__).parents[1] / "out" / "placement.json"


def main() -> int:
    """Run it; 1 where a sign is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    began = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    decisions = measure_decisions(quick=options.quick)  # first, while nothing else runs
    batches = measure_batches(quick=options.quick)
    results = measure(quick() if options.quick else full(), workers=options.workers)
    found, wrong = [*verdicts(results), *decisions.verdicts(), *batches.verdicts()], list(wrong_signs(results))
    show(results, console)
    decisions.show(console)
    console.print(batches.table())
    console.print(_aims(found))
    for line in wrong:
        console.print(f"Wrong sign: {line}")
    took = time.monotonic() - began
    console.print(f"{took:.0f} s on {options.workers} workers")
    _write(options.out, document(results, found, decisions, batches, took=took, quick=options.quick))
    return 1 if wrong else 0


def _aims(found: list[Verdict]) -> Table:
    table = Table(title="Aims", title_justify="left", title_style="bold", header_style="")
    table.add_column("aim")
    for title in ("wanted", "measured", "holds"):
        table.add_column(title, justify="right", no_wrap=True)
    for verdict in found:
        measured = verdict.measured
        interval = f" ± {measured.half:.2f}" if measured.samples > 1 else ""
        table.add_row(verdict.what, verdict.wanted, f"{measured.mean:.2f}{interval}", "yes" if verdict.holds else "NO")
    return table


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    sys.exit(main())
