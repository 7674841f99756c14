"""The GPU on which placement is measured and tuned, as its driver describes it."""

from functools import cache

from mig.placements import GpuShape
from tests.support.shapes import shapes


@cache
def a100() -> GpuShape:
    """80 GB: A100 and H100 are cut alike."""
    return shapes()["a100-80gb"]


def plain(shape: GpuShape) -> GpuShape:
    """The shape with its profiles without attributes alone: those that demand is generated over."""
    return GpuShape(shape.width, tuple(offer for offer in shape.offers if not offer.profile.attributes))
