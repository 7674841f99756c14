"""The search speaks of the coefficients that are shipped, and what it measures has the sign that is promised."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from allocator.placement.durations import Coefficients, tuned
from allocator.placement.outlook import LOOKS
from bench.tuning.points import coefficients_of, point_of, write
from bench.tuning.study import bench, over_fgd


def test_a_point_of_the_search_stands_for_the_coefficients_that_it_came_from() -> None:
    again = coefficients_of(point_of(tuned().coefficients))
    assert again.gpu.outlives == pytest.approx(tuned().coefficients.gpu.outlives, rel=0.01)
    assert again.horizon == pytest.approx(tuned().coefficients.horizon, rel=0.01)
    assert again.value.pairs == pytest.approx(tuned().coefficients.value.pairs, rel=0.01)
    assert coefficients_of(point_of(again)) == again


def test_no_point_stands_for_coefficients_that_the_engine_refuses() -> None:
    wild = [-3.0 + 0.5 * index for index in range(15)]
    assert Coefficients.read(asdict(coefficients_of(wild))) == coefficients_of(wild)


def test_what_was_found_leaves_the_other_numbers_of_the_table_alone(tmp_path: Path) -> None:
    table = tmp_path / "coefficients.json"
    table.write_text(json.dumps({"other": [1], "durations": {}}))
    write({"durations": {"now": 2}}, table=table)
    assert json.loads(table.read_text()) == {"other": [1], "durations": {"now": 2}}


@pytest.mark.timeout(300)
def test_declared_lifetimes_beat_fgd_and_so_do_wrong_ones_where_small_slices_are_asked_for() -> None:
    """Signs only, where they are far from 0: 3 seeds of a mix on which the study shows +2.4 and +1.6 points."""
    on = bench()
    rows = [over_fgd("small", seed, on=on, looks=[LOOKS]) for seed in (51, 52, 53)]
    assert sum(row[f"exact, {LOOKS} looks"] for row in rows) > 0
    assert sum(row[f"wrong, {LOOKS} looks"] for row in rows) > 0
