"""No sequence of legal additions and removals ever leaves a GPU in a state that hardware could not have."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mig.occupancy import Placed, first_fault, fits_beside, legal_starts, moves
from mig.placements import GpuShape, Window


@given(data=st.data())
def test_a_random_history_never_overlaps_and_never_exceeds_a_count(
    shapes: dict[str, GpuShape], data: st.DataObject
) -> None:
    shape = shapes[data.draw(st.sampled_from(sorted(shapes)))]
    placed: list[Placed] = []
    for _ in range(data.draw(st.integers(0, 25))):
        choices = list(moves(shape, placed))
        if placed and (not choices or data.draw(st.booleans())):
            placed.remove(data.draw(st.sampled_from(placed)))
        elif choices:
            placed.append(data.draw(st.sampled_from(choices)))
        assert_possible(shape, placed)
    assert first_fault(shape, placed) is None


def assert_possible(shape: GpuShape, placed: list[Placed]) -> None:
    cells = Counter(cell for item in placed for cell in range(item.window.start, item.window.end))
    assert all(count == 1 for count in cells.values())
    assert all(0 <= cell < shape.width for cell in cells)
    for profile, count in Counter(item.profile for item in placed).items():
        assert count <= shape.by_profile[profile].max_instances
    assert sum(item.profile.takes_media for item in placed) <= 1


@given(data=st.data())
def test_legal_starts_are_exactly_those_that_brute_force_finds(
    shapes: dict[str, GpuShape], data: st.DataObject
) -> None:
    shape = shapes[data.draw(st.sampled_from(sorted(shapes)))]
    placed: list[Placed] = []
    for _ in range(data.draw(st.integers(0, 6))):
        choices = list(moves(shape, placed))
        if choices:
            placed.append(data.draw(st.sampled_from(choices)))
    for offer in shape.offers:
        brute = tuple(
            start
            for start in range(shape.width)
            if first_fault(shape, [*placed, Placed(Window(start, offer.size), offer.profile)]) is None
        )
        assert legal_starts(offer, placed) == brute


def test_a_place_beside_the_media_holder_is_refused_to_a_second_one(shapes: dict[str, GpuShape]) -> None:
    shape = shapes["rtx-pro-6000-96gb"]
    media = next(offer for offer in shape.offers if offer.profile.attributes == "+me")
    everything = next(offer for offer in shape.offers if offer.profile.attributes == "+me.all")
    assert not fits_beside(everything, 3, [Placed(Window(0, media.size), media.profile)])
