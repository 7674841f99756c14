"""Best fit with index order: the fullest GPU on which the slice fits, and among equals the start that stands in the way of least.

The strongest of the simple rules in the literature (best fit, best index). A start's order is fixed, whatever else lies on the
GPU: the fewer windows of all profiles it overlaps on an empty one, the earlier. On a card of seven slices that gives 6, 4, 5, 0,
1, 2, 3 for one slice and 4, 0 for three, which is the order in which the driver fills a GPU by itself.
"""

from functools import cache

from allocator.placement.states import Place, StateSpace
from mig.placements import GpuShape, Window
from simulate.policies.scan import Rank, Scan


class BestIndex(Scan):
    """The fewest free memory slices, then the start that overlaps the fewest windows, the lowest start, the lowest GPU."""

    def rank(self, space: StateSpace, state: int, kind: int, place: Place) -> Rank:
        """By free memory slices, then by windows overlapped."""
        start, _ = place
        return (space.free[state], windows_overlapped(space.shape, kind, start), start)


@cache
def windows_overlapped(shape: GpuShape, kind: int, start: int) -> int:
    """How many windows of plain profiles a slice overlaps that is alone on a GPU, its own among them."""
    taken = Window(start, shape.offers[kind].size)
    return sum(
        window.overlaps(taken) for offer in shape.offers if not offer.profile.attributes for window in offer.windows()
    )
