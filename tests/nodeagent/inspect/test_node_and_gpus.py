"""What differs of a GPU or the node as a whole, and what a missing source means."""

from dataclasses import replace
from typing import Any

import pytest

from mig.migspec import MigMode, MigSpec, SpecGpu, SpecSlice
from nodeagent.inspection.join import inspect
from nodeagent.inspection.values import DriverReading, GpuReading, Sources, Unread
from nodeagent.kubelet.counts import Counts
from tests.support.inspecting import A100, AGREED, ONE, PLACE, RESOURCE, driver, only, said

WHY = Unread("nobody answers")


def spec() -> MigSpec:
    """The MigSpec on which all agree."""
    assert isinstance(AGREED.migspec, MigSpec)
    return AGREED.migspec


def test_a_gpu_that_is_not_there_is_told() -> None:
    """S6: swapped; the spec still names the old one, and the new one is in no report."""
    other = replace(A100, uuid="GPU-new")
    swapped = DriverReading("580.95.05", {0: GpuReading(other, (), {})})
    gpus = {gpu.uuid: gpu for gpu in inspect(replace(AGREED, driver=swapped)).gpus}
    assert "the driver does not show it" in gpus[A100.uuid].differences[0]
    assert "not in the agent's report" in gpus["GPU-new"].differences[0]


def test_a_gpu_that_only_the_spec_names_is_told() -> None:
    """With what is wanted there."""
    wanted = SpecGpu("GPU-gone", (SpecSlice(PLACE.window, PLACE.profile),))
    here = spec()
    named = replace(here, spec=replace(here.spec, gpus=(*here.spec.gpus, wanted)))
    gone = inspect(replace(AGREED, migspec=named)).gpus[1]
    assert gone.differences == ("the spec names this GPU, and the driver does not show it: it was removed or replaced",)
    assert [row.wanted is not None for row in gone.rows] == [True]


def test_a_mig_mode_that_changed_is_told() -> None:
    """By hand, since the report."""
    off = DriverReading("580.95.05", {0: GpuReading(replace(A100, mig_mode=MigMode.DISABLED), (ONE,), {})})
    assert "MIG mode is Disabled by the driver and Enabled by the report" in said(inspect(replace(AGREED, driver=off)))


def test_a_gpu_that_the_agent_is_in_trouble_with_is_told() -> None:
    """Whatever the driver says here and now."""
    status = spec().status
    assert status is not None
    troubled = replace(status, gpus=(replace(status.gpus[0], trouble="GPU 0: fell off the bus"),))
    told = said(inspect(replace(AGREED, migspec=replace(spec(), status=troubled))))
    assert told == "the agent says: GPU 0: fell off the bus"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"migspec": replace(spec(), status=None)}, "the agent has never reported"),
        ({"boot_id": "boot-2"}, "the report is of another boot"),
        ({"driver": replace(driver(ONE), version="999.1")}, "the driver is 999.1 and 580.95.05 by the report"),
        ({"offered": {RESOURCE: frozenset({"MIG-one", "MIG-strange"})}}, "the kubelet offers MIG-strange under"),
        ({"counts": Counts({RESOURCE: 1}, {RESOURCE: 2})}, "the Node shows 2, the kubelet offers 1"),
        ({"counts": Counts()}, "the Node shows 0, the kubelet offers 1"),
        ({"counts": Counts({}, {RESOURCE: 1, "nvidia.com/mig-7g.80gb": 1})}, "the Node shows 1, the kubelet offers 0"),
    ],
)
def test_a_difference_of_the_node_is_said(changed: dict[str, Any], words: str) -> None:
    """Each alone."""
    assert words in said(inspect(replace(AGREED, **changed)))


@pytest.mark.parametrize("source", ["driver", "migspec", "counts", "pods", "ledger", "offered", "holdings"])
def test_a_source_that_cannot_be_read_is_never_taken_for_an_empty_one(source: str) -> None:
    """It causes no difference, and the exit status is 2 and says why."""
    changed: dict[str, Any] = {source: WHY}
    inspection = inspect(replace(AGREED, **changed))
    assert said(inspection) == ""
    assert [why for _, why in inspection.unread] == ["nobody answers"]
    assert inspection.exit_status == 2


def test_one_gpu_that_does_not_answer_leaves_the_others_readable() -> None:
    """And nothing is called gone that may be on it."""
    second = replace(A100, uuid="GPU-second", index=1)
    reading = DriverReading("580.95.05", {0: WHY, 1: GpuReading(second, (), {})})
    here = spec()
    assert here.status is not None
    both = replace(here.status.gpus[0], uuid="GPU-second", index=1, slices=())
    reported = replace(here, status=replace(here.status, gpus=(*here.status.gpus, both)))
    inspection = inspect(replace(AGREED, driver=reading, migspec=reported))
    assert said(inspection) == ""
    assert dict(inspection.unread) == {"driver, GPU 0": "nobody answers"}
    assert {gpu.uuid for gpu in inspection.gpus} == {A100.uuid, "GPU-second"}


def test_whose_a_slice_is_comes_from_the_report_where_the_ledger_is_lost() -> None:
    """As the agent itself falls back on it."""
    assert only(replace(AGREED, ledger=WHY)).ours is True
    assert only(replace(AGREED, ledger=WHY, migspec=WHY)).ours is None


def test_a_node_that_is_not_handed_over_is_no_difference() -> None:
    """Nothing is wanted there, and the note says how to hand it over."""
    idle: Sources = replace(AGREED, migspec=None)
    inspection = inspect(idle)
    assert "nos.nebuly.com/gpu-partitioning=mig" in inspection.notes[0]
    assert inspection.exit_status == 0
