"""What the benchmark prints and writes is what it measured: points and percent in text, shares in JSON, nothing that is no JSON."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from bench.placement.aims import verdicts
from bench.placement.batches import BatchReport
from bench.placement.contestants import CLAIRVOYANT, FGD
from bench.placement.decisions import DecisionReport
from bench.placement.document import document
from bench.placement.plan import Cell
from bench.placement.results import Figures, Results
from bench.placement.tables import show
from simulate.replay import Mode

RUN = Figures(slices=0.9, requests=0.95, profiles={"1g.10gb": 1.0, "7g.80gb": 0.75}, utilisation=0.9, gpus=96.5)

BETTER = "best-fit"


@pytest.fixture
def results() -> Results:
    """Two seeds in loss mode, the bound on one of them, and one in a queue."""
    made = Results()
    for seed, more in enumerate((0.004, 0.006)):
        cell = Cell(mix="uniform", load=1.0, seed=seed, arrivals=100, contestants=())
        made.add(cell, {BETTER: replace(RUN, slices=0.9 + more), FGD: RUN})
        if not seed:
            made.add(cell, {CLAIRVOYANT: Figures(slices=0.96)})
    queue = Cell(mix="uniform", load=1.0, seed=0, arrivals=100, contestants=(), mode=Mode.BACKFILL)
    made.add(queue, {FGD: replace(RUN, wait_mean=90.0, wait_p95=600.0)})
    return made


def test_tables_show_slices_and_requests_the_difference_and_the_share_of_the_bound(results: Results) -> None:
    """Half a point above FGD, ± t(0.975, 1) · 0.1; 90.4 of 96; a wait of a minute and a half."""
    text = io.StringIO()
    show(results, Console(file=text, width=200))
    rows = [[cell.strip() for cell in re.split("[│|]", line)[1:-1]] for line in text.getvalue().splitlines()]
    better = ["best-fit", "90.50", "+0.50 ± 1.27", "95.00", "+0.00 ± 0.00", "94.17", "96.5", "", "2"]
    queue = ["uniform", "1.0", "backfill", "fgd", "90.00", "+0.00 ± inf", "1.5", "+0.0 ± inf", "10.0", "96.5"]
    assert better in rows
    assert queue in rows


def test_the_document_holds_every_run_and_is_plain_json(results: Results) -> None:
    """An interval that one sample cannot give is null, since JSON knows no infinity."""
    decisions = DecisionReport(times=(), half_full={})
    batches = BatchReport(times=(), nodes=0, mib=0.0)
    written = document(results, verdicts(results), decisions, batches, took=1.0, quick=True)
    read = json.loads(json.dumps(written, allow_nan=False))
    loss = read["acceptance"][0]["policies"]
    assert loss[BETTER]["slices to FGD"]["mean"] == pytest.approx(0.005)
    assert loss[CLAIRVOYANT]["slices"] == {"mean": 0.96, "half": None, "samples": 1}
    assert [loss[BETTER]["runs"][seed]["slices"] for seed in "01"] == [pytest.approx(0.904), pytest.approx(0.906)]
