"""What a Pod declares to last: a Go duration or seconds, bounded by its deadline; what cannot be read is not declared."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig.lifetime import LONGEST_S, DurationError, complaint, declared_lifetime, parse_duration

UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
PART = st.tuples(st.decimals(0, 9999, places=3, allow_nan=False), st.sampled_from(sorted(UNITS)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400.0),
        ("2h30m", 9000.0),
        ("5400", 5400.0),
        ("36h", 129_600.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("0.25", 0.25),
        ("+5s", 5.0),
        ("1h1h", 7200.0),
        ("5m0s", 300.0),
        ("1m1ms1us1ns", 60.001001001),
        ("3µs", 3e-6),
        ("3μs", 3e-6),
        ("1ns", 1e-9),
        ("9223372036", 9223372036.0),
    ],
)
def test_go_durations_and_plain_seconds_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@given(parts=st.lists(PART, min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[Decimal, str]]) -> None:
    expected = sum(number * Decimal(UNITS[unit]) for number, unit in parts)
    text = "".join(f"{number}{unit}" for number, unit in parts)
    if expected < Decimal("1e-9"):
        with pytest.raises(DurationError):
            parse_duration(text)
    else:
        assert parse_duration(text) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "90 m",
        " 90m",
        "90m\n",
        "1d",
        "2 days",
        "1h30",
        "m",
        ".",
        ".h",
        "1..5h",
        "0",
        "0s",
        "0.0000000001s",
        "-5m",
        "-1",
        "+5",
        "1e3",
        "1_000",
        "٣s",
        "nan",
        "inf",
        "9223372037",
        "2562048h",
        "9" * 64,
        "1h" * 40,
        None,
        90,
        True,
        ["90m"],
    ],
)
def test_everything_else_is_refused_with_what_to_write(value: object) -> None:
    """A12."""
    with pytest.raises(DurationError, match="is no duration above 0; write 90m, 36h or seconds") as refused:
        parse_duration(value)
    assert len(str(refused.value)) < 120


@given(value=st.text(max_size=80) | st.from_regex(r"\A[0-9.+-]{0,6}([a-zµ]{1,2}[0-9.]{0,4})*\Z"))
def test_any_text_is_a_duration_within_bounds_or_refused(value: str) -> None:
    """F1: there is no third outcome, and what is refused is also what the user is told of."""
    try:
        seconds = parse_duration(value)
    except DurationError:
        assert complaint(value) is not None
        assert declared_lifetime(annotation=value, deadline=None) is None
    else:
        assert 0 < seconds <= LONGEST_S
        assert complaint(value) is None


def test_a_pod_that_declares_nothing_has_no_lifetime() -> None:
    assert declared_lifetime(annotation=None, deadline=None) is None


def test_a_deadline_alone_is_a_lifetime() -> None:
    assert declared_lifetime(annotation=None, deadline=600) == 600.0


def test_of_estimate_and_deadline_the_smaller_counts() -> None:
    """The kubelet ends a Pod at its deadline, however long it was expected to run."""
    assert declared_lifetime(annotation="5m", deadline=600) == 300.0
    assert declared_lifetime(annotation="1h", deadline=600) == 600.0


def test_an_estimate_that_cannot_be_read_leaves_the_deadline_in_force() -> None:
    assert declared_lifetime(annotation="soon", deadline=600) == 600.0


@pytest.mark.parametrize("deadline", [0, -1, True, "600", 6.5, 10**30, None])
def test_a_deadline_that_the_api_server_would_never_store_counts_as_none(deadline: object) -> None:
    assert declared_lifetime(annotation=None, deadline=deadline) is None
