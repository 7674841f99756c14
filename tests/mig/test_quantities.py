"""Quantities are read as the API server reads them, and nothing that it refuses gets through (W4)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig.quantity import QuantityError, parse_quantity


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        (1, 1),
        ("1000m", 1),
        ("1e0", 1),
        ("1E3", 1000),
        ("1.", 1),
        (".5", Fraction(1, 2)),
        ("+2", 2),
        ("-1", -1),
        ("0", 0),
        ("1.5Gi", Fraction(3 * 1024**3, 2)),
        ("1k", 1000),
        ("100n", Fraction(1, 10**7)),
        ("2E", 2 * 10**18),
        ("1Ei", 1024**6),
        ("1e-3", Fraction(1, 1000)),
    ],
)
def test_a_quantity_has_its_exact_value(written: object, value: object) -> None:
    assert parse_quantity(written) == value


@pytest.mark.parametrize(
    "written",
    ["", " ", "1 ", " 1", "abc", "1e400", "1e-400", "1e", "--1", "0x1", "1_0", "١", "1Ki2", "1kk", "1K", "NaN", "inf", "1\n",
     True, None, 1.0, [], {}, "9" * 1000, 10**4000],
)  # fmt: skip
def test_what_is_no_quantity_is_refused(written: object) -> None:
    with pytest.raises(QuantityError):
        parse_quantity(written)


@given(st.one_of(st.text(max_size=20), st.integers(), st.none(), st.booleans(), st.floats(), st.binary(max_size=5)))
def test_nothing_raises_anything_else(written: object) -> None:
    try:
        assert isinstance(parse_quantity(written), Fraction)
    except QuantityError:
        return
