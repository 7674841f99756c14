"""The packing cuts say exactly what a fleet can hold when every slice may be moved."""

from itertools import product

import pytest

from bench.gpu import plain
from bench.placement.cuts import Cut, Cuts, cuts_of, decomposes, lattice
from mig.occupancy import multiset, reachable_layouts
from mig.placements import GpuShape
from tests.support.shapes import shapes


@pytest.fixture(scope="module")
def a100() -> GpuShape:
    return plain(shapes()["a100-80gb"])


@pytest.fixture(scope="module")
def cuts(a100: GpuShape) -> Cuts:
    return cuts_of(a100)


def layouts(shape: GpuShape) -> set[tuple[int, ...]]:
    """What one GPU can hold, enumerated slice by slice by the driver's own rules."""
    profiles = [offer.profile for offer in shape.offers]
    counted = [dict(multiset(layout)) for layout in reachable_layouts(shape)]
    return {tuple(counts.get(profile, 0) for profile in profiles) for counts in counted}


def test_an_80_gb_gpu_has_four_cuts(cuts: Cuts) -> None:
    """Worked by hand: one of 4g and 7g; three places for 2g, of which a 4g takes two; seven for 1g; eight slices of memory."""
    assert [str(profile) for profile in cuts.profiles] == [
        "1g.10gb",
        "1g.20gb",
        "2g.20gb",
        "3g.40gb",
        "4g.40gb",
        "7g.80gb",
    ]
    assert cuts.facets == (
        Cut((0, 0, 0, 0, 1, 1), 1),
        Cut((0, 0, 1, 1, 2, 3), 3),
        Cut((1, 1, 2, 3, 4, 7), 7),
        Cut((1, 2, 2, 4, 4, 8), 8),
    )


@pytest.mark.parametrize("gpus", [1, 2, 3])
def test_what_satisfies_the_cuts_is_exactly_what_brute_force_packs(a100: GpuShape, cuts: Cuts, gpus: int) -> None:
    """Every multiset of one, two and three GPUs, in both directions."""
    one = layouts(a100)
    packed = {(0,) * len(cuts.profiles)}
    for _ in range(gpus):
        packed = {tuple(map(sum, zip(left, right, strict=True))) for left, right in product(packed, one)}
    assert lattice(cuts, gpus=gpus) == packed


@pytest.mark.parametrize(
    "model", ["a30-24gb", "a100-40gb", "a100-80gb", "h100-80gb", "h200-141gb", "rtx-pro-6000-96gb"]
)
def test_the_cuts_stay_exact_for_any_number_of_gpus(model: str) -> None:
    """Enough by the argument in `cuts`: each point of N GPUs gives one GPU's layout away, for N below the number of profiles."""
    found = cuts_of(plain(shapes()[model]))
    assert all(decomposes(found, gpus=gpus) for gpus in range(2, len(found.profiles)))


def test_cuts_that_allow_too_much_are_found_out(cuts: Cuts) -> None:
    """With the cut on 4g and 7g left out, two 4g would share a GPU: the check must say so, or it checks nothing."""
    loose = Cuts(cuts.profiles, cuts.facets[2:], cuts.points)
    assert not decomposes(loose, gpus=2)


def test_holding_is_asked_of_the_whole_fleet(cuts: Cuts) -> None:
    """Three 3g and a 4g need two GPUs; one more 3g needs a third."""
    assert cuts.hold((0, 0, 0, 3, 1, 0), gpus=2)
    assert not cuts.hold((0, 0, 0, 4, 1, 0), gpus=2)
    assert cuts.hold((0, 0, 0, 4, 1, 0), gpus=3)
