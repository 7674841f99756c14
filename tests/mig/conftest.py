"""GPU shapes for the domain's tests."""

import pytest

from mig.placements import GpuShape
from tests.support.shapes import shapes as all_shapes


@pytest.fixture(scope="session")
def shapes() -> dict[str, GpuShape]:
    return all_shapes()


@pytest.fixture(scope="session")
def a100(shapes: dict[str, GpuShape]) -> GpuShape:
    return shapes["a100-80gb"]
