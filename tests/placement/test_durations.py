"""A declared lifetime makes a place worth less the less its neighbours end with it, and nothing else about a place."""

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.placement.durations import Coefficients, Durations, tuned

SECONDS = st.floats(0.001, 1e9)
LEFT = st.none() | st.floats(-1e6, 1e9)


def test_outliving_what_is_there_counts_more_than_being_outlived_by_as_much() -> None:
    durations = tuned()
    outlives = durations.penalty(300, scale=100, gpu=100, half=None)
    outlived = durations.penalty(100, scale=100, gpu=300, half=None)
    alone = durations.penalty(100, scale=100, gpu=100, half=None)
    assert outlives - alone > outlived - alone > 0


def test_ends_that_meet_in_the_gpu_and_its_half_beat_ends_that_meet_in_the_gpu_alone() -> None:
    durations = tuned()
    both = durations.penalty(100, scale=100, gpu=100, half=100)
    gpu = durations.penalty(100, scale=100, gpu=100, half=20)
    none = durations.penalty(100, scale=100, gpu=20, half=20)
    assert both == 0 < gpu < none


def test_the_penalty_is_concave_so_the_first_minute_apart_counts_most() -> None:
    durations = tuned()
    near, far, further = (durations.of_gpu(100 + over, 100, scale=60) for over in (60, 120, 180))
    assert near > far - near > further - far > 0


def test_an_overdue_neighbour_is_about_to_end() -> None:
    durations = tuned()
    assert durations.of_gpu(50, -30, scale=60) == durations.of_gpu(50, 0, scale=60)


@given(lasts=SECONDS, gpu=LEFT, half=LEFT, unit=st.floats(1e-3, 1e3))
def test_only_ratios_of_times_matter(lasts: float, gpu: float | None, half: float | None, unit: float) -> None:
    def times(left: float | None) -> float | None:
        return None if left is None else left * unit

    durations = tuned()
    plain = durations.penalty(lasts, scale=60, gpu=gpu, half=half)
    scaled = durations.penalty(lasts * unit, scale=60 * unit, gpu=times(gpu), half=times(half))
    assert scaled == pytest.approx(plain, rel=1e-6, abs=1e-9)


@given(lasts=SECONDS, gpu=LEFT, half=LEFT)
def test_the_gpus_part_bounds_the_penalty_of_all_its_windows_from_below(
    lasts: float, gpu: float | None, half: float | None
) -> None:
    durations = tuned()
    assert 0 <= durations.of_gpu(lasts, gpu, scale=60) <= durations.penalty(lasts, scale=60, gpu=gpu, half=half)


@given(lasts=SECONDS, first=st.floats(0, 1e9), second=st.floats(0, 1e9))
def test_the_gpus_part_grows_on_either_side_of_the_slices_own_end(lasts: float, first: float, second: float) -> None:
    near, far = sorted((first, second), key=lambda left: abs(left - lasts))
    if (near - lasts) * (far - lasts) >= 0:
        durations = tuned()
        assert durations.of_gpu(lasts, near, scale=60) <= durations.of_gpu(lasts, far, scale=60)


def test_a_negative_coefficient_is_refused_because_the_bound_would_not_hold() -> None:
    data = json.loads(files("allocator.placement").joinpath("coefficients.json").read_text())["durations"]
    assert Durations(Coefficients.read(data)).coefficients == tuned().coefficients
    with pytest.raises(ValueError, match=r"negative.*bench\.tuning\.search"):
        Coefficients.read({**data, "half": {**data["half"], "alone": -0.1}})
