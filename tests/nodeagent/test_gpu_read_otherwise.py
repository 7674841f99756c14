"""Between a reading that shows a GPU otherwise and the next plan a report can be made all the same."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mig.migspec import MigMode, MigSpec, Spec, SpecGpu, SpecSlice
from nodeagent.gpus.hardware import Hardware
from nodeagent.gpus.ledger import Ledger
from nodeagent.gpus.workers import Worker
from nodeagent.state import GpuRecord, NodeState
from nodeagent.telling.reporting import report_of
from nodeagent.values import NO_SHAPE, Gpu
from tests.support.instances import placed
from tests.support.rack import Book, Rack
from tests.support.shapes import shapes

WANTED = placed("7g.80gb@0+8")
NOW = Rack(["GPU-a"]).gpu(0)
UNLIKE_BEFORE = {
    "another GPU": replace(NOW, uuid="GPU-before"),
    "another shape": replace(NOW, shape=shapes()["h200-141gb"]),
    "MIG mode was off": replace(NOW, mig_mode=MigMode.DISABLED, shape=NO_SHAPE),
}


@pytest.mark.parametrize("before", UNLIKE_BEFORE.values(), ids=UNLIKE_BEFORE)
async def test_what_the_last_plan_said_of_another_gpu_is_not_told_of_this_one(before: Gpu, tmp_path: Path) -> None:
    """A profile that this GPU does not have may be among it; the process must not end by that."""
    rack, state = Rack(["GPU-a"]), NodeState("node", "boot", looked=True)
    gone = placed("1g.18gb@0+1")  # no profile of an A100
    spec = Spec(1, (SpecGpu("GPU-a", (SpecSlice(WANTED.window, WANTED.profile),)),))
    state.migspec = MigSpec("node", "uid", 1, "1", spec)
    state.driver = rack.start()
    record = state.gpus[0] = GpuRecord(0, before, waiting={gone: "waits"}, fault="has no 1g.18gb", kept=frozenset({3}))
    ledger = Ledger(tmp_path / "ledger.json", boot_id="boot")
    await Hardware(record=record, driver=rack, worker=Worker("gpu"), ledger=ledger).read()
    assert (record.waiting, record.fault, record.kept) == ({}, "", frozenset())
    report = report_of(state, kubelet=Book(), ledger_trouble="", now=datetime.now(UTC))
    assert report is not None
    healthy = report.status.condition("Healthy")
    assert healthy is not None
    assert healthy.reason != "InvalidSpec"
