"""The upper reference: a fleet whose slices may all be moved, at no cost, whenever somebody asks.

A request is refused only if no arrangement of everything that runs has room for it, which the packing cuts decide exactly. It is
greedy and knows no future, so the clairvoyant bound stands above it. It is a reference and no bound: a policy that happens to
refuse the right requests could pass it.
"""

from collections.abc import Sequence

from bench.placement.cuts import Cuts
from mig.occupancy import Placed
from mig.placements import GpuShape, Window
from mig.profiles import Profile
from simulate.placer import Spot


class FreeMigration:
    """A placer that knows counts alone. Its spots have no place: all lie on GPU 0 at 0, so GPUs in use say nothing of it."""

    def __init__(self, shape: GpuShape, cuts: Cuts, *, gpus: int) -> None:
        columns = zip(*(cut.weights for cut in cuts.facets), strict=True)
        self._takes: dict[Profile, Sequence[int]] = dict(zip(cuts.profiles, columns, strict=True))
        self._left = [gpus * cut.bound for cut in cuts.facets]
        self._spots = {offer.profile: Spot(0, Placed(Window(0, offer.size), offer.profile)) for offer in shape.offers}

    def place(self, profile: Profile, *, now: float, until: float | None = None) -> Spot | None:  # noqa: ARG002 - a Placer's
        """Accept if everything that runs, and this, has an arrangement."""
        left = [room - take for room, take in zip(self._left, self._takes[profile], strict=True)]
        if min(left) < 0:
            return None
        self._left = left
        return self._spots[profile]

    def release(self, spot: Spot, *, now: float) -> None:  # noqa: ARG002 - a Placer's
        """Give back what it took."""
        takes = self._takes[spot.placed.profile]
        self._left = [room + take for room, take in zip(self._left, takes, strict=True)]
