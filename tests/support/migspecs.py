"""A MigSpec in which every field that the writer knows is there."""

from typing import Any

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
)
from mig.migspec_json import new_migspec, status_to_json
from mig.placements import Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes

THREE, ONE = parse_profile("3g.40gb"), parse_profile("1g.10gb+me")
CLAIM = Claim("0f3a", "main", "default", "train-0")
SPEC = Spec(
    7, (SpecGpu("GPU-1", (SpecSlice(Window(0, 1), ONE), SpecSlice(Window(4, 4), THREE, CLAIM))), SpecGpu("GPU-2"))
)


def full_migspec(name: str = "n1") -> dict[str, Any]:
    """An object in which every field that the writer knows is there."""
    slices = [
        StatusSlice(Window(place, 1), ONE, state, f"MIG-{place}", owned=state is not SliceState.FOREIGN, message="why")
        for place, state in enumerate(SliceState)
    ]
    slices.append(StatusSlice(Window(4, 4), THREE, SliceState.USED, "MIG-9", holder=Holder("ns", "pod", "uid", "main")))
    gpus = [
        StatusGpu(
            f"GPU-{mode}", place, "NVIDIA A100-SXM4-80GB", mode, 8, shapes()["a100-80gb"].offers, tuple(slices), "lost"
        )
        for place, mode in enumerate(MigMode)
    ]
    status = Status(
        12,
        boot_id="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        driver_version="580.65.06",
        gpus=tuple(gpus),
        conditions=(Condition("Converged", "False", "Converging", "two slices to go", 12, "2026-01-01T00:00:00Z"),),
    )
    return new_migspec(node=name, node_uid="u", spec=SPEC) | {"status": status_to_json(status)}
