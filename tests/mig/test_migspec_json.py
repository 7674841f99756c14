"""A MigSpec survives the way through JSON, and what is broken is refused by name (A12)."""

import pytest

from mig.migspec import (
    Claim,
    Condition,
    Holder,
    MigMode,
    SliceState,
    Spec,
    SpecGpu,
    SpecSlice,
    Status,
    StatusGpu,
    StatusSlice,
    counts,
)
from mig.migspec_json import MigSpecError, migspec_from_json, new_migspec, spec_to_json, status_to_json
from mig.placements import GpuShape, Window
from mig.profiles import parse_profile

THREE, ONE = parse_profile("3g.40gb"), parse_profile("1g.10gb")
SPEC = Spec(
    7,
    (
        SpecGpu(
            "GPU-1",
            (
                SpecSlice(Window(0, 1), ONE),
                SpecSlice(Window(4, 4), THREE, Claim("u1", "main", "default", "train-0")),
            ),
        ),
    ),
)


def status(shape: GpuShape) -> Status:
    return Status(
        12,
        boot_id="boot",
        driver_version="580.1",
        gpus=(
            StatusGpu(
                "GPU-1",
                0,
                "NVIDIA A100-SXM4-80GB",
                MigMode.ENABLED,
                8,
                shape.offers,
                (
                    StatusSlice(Window(0, 1), ONE, SliceState.FREE, "MIG-1"),
                    StatusSlice(Window(1, 1), ONE, SliceState.FOREIGN, "MIG-9", owned=False),
                    StatusSlice(
                        Window(4, 4), THREE, SliceState.USED, "MIG-2", holder=Holder("default", "train-0", "u1", "main")
                    ),
                ),
            ),
            StatusGpu("GPU-2", 1, "NVIDIA T4", MigMode.UNSUPPORTED, trouble="fell off the bus"),
        ),
        conditions=(Condition("Converged", "True", "Converged", "", 12, "2026-01-01T00:00:00Z"),),
    )


def test_an_object_reads_back_as_it_was_written(a100: GpuShape) -> None:
    obj = new_migspec(node="n1", node_uid="nu", spec=SPEC)
    obj["metadata"] |= {"uid": "mu", "generation": 12, "resourceVersion": "5"}
    obj["status"] = status_to_json(status(a100))
    read = migspec_from_json(obj)
    assert read.spec == SPEC
    assert read.status == status(a100)
    assert obj["metadata"]["ownerReferences"][0]["uid"] == "nu"


def test_an_empty_status_is_no_report() -> None:
    obj = {"metadata": {"name": "n", "uid": "u", "generation": 1, "resourceVersion": "1"}, "spec": spec_to_json(SPEC)}
    assert migspec_from_json(obj | {"status": {}}).status is None


def test_counts_say_what_is_used_and_what_room_is_left(a100: GpuShape) -> None:
    assert counts(status(a100)) == {
        "gpus": 1, "used": 1, "free": 1, "pending": 0, "failed": 0, "foreign": 1, "room": "3/8",
    }  # fmt: skip


@pytest.mark.parametrize("broken", [{}, {"metadata": {"name": "n1"}}, {"metadata": {"name": "n1"}, "spec": "x"}])
def test_garbage_is_refused_by_name(broken: dict[str, object]) -> None:
    with pytest.raises(MigSpecError, match="MigSpec"):
        migspec_from_json(broken)
