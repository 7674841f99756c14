"""A trace is read as a stream, by its header; what cannot be used is refused with line, column and what to write."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from mig.profiles import parse_profile
from simulate.load import Arrival
from simulate.trace import TraceError, open_trace, read_trace, smallest_holding
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]


def read(*lines: str) -> list[Arrival]:
    return list(read_trace([f"{line}\n" for line in lines], name="trace.csv", shapes=[A100]))


def test_columns_are_found_by_the_header_in_any_order() -> None:
    assert read("profile,duration,priority,arrival,declared", "3g.40gb,60,2,1.5,90", "1g.10gb+me,1,,2,") == [
        Arrival(1.5, 60.0, parse_profile("3g.40gb"), 90.0, 2),
        Arrival(2.0, 1.0, parse_profile("1g.10gb+me"), None, 0),
    ]


@pytest.mark.parametrize(
    ("share", "profile"),
    [
        ("0.01", "1g.10gb"),
        ("0.125", "1g.10gb"),
        ("0.14", "1g.20gb"),
        ("0.25", "2g.20gb"),
        ("0.26", "3g.40gb"),
        ("0.428571", "3g.40gb"),
        ("0.46", "4g.40gb"),
        ("0.5", "4g.40gb"),
        ("0.51", "7g.80gb"),
        ("1", "7g.80gb"),
    ],
)
def test_a_fraction_becomes_the_smallest_profile_that_holds_it_in_compute_and_memory(share: str, profile: str) -> None:
    assert read("arrival,duration,gpu_fraction", f"0,1,{share}")[0].profile == parse_profile(profile)


def test_a_fraction_is_measured_on_other_grids_by_their_own_width() -> None:
    a30, rtx = shapes()["a30-24gb"], shapes()["rtx-pro-6000-96gb"]

    assert str(smallest_holding(a30, 0.25)) == "1g.6gb"
    assert smallest_holding(rtx, 0.25).slices == 1
    assert smallest_holding(rtx, 0.26).slices == 2


def test_a_profile_that_another_driver_renamed_is_read_as_the_fleets_own() -> None:
    gb200 = shapes()["gb200"]
    own = min(offer.profile for offer in gb200.offers if not offer.profile.attributes)
    other = f"{own.slices}g.{own.memory_gb + 1}gb"
    lines = ["arrival,duration,profile\n", f"0,1,{other}\n"]

    assert next(read_trace(lines, name="t", shapes=[gb200])).profile == own


def test_blank_lines_and_spaces_are_no_matter() -> None:
    assert len(read("arrival, duration ,profile", "", " 0, 1 , 3g.40gb ", "")) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("x,1,3g.40gb", r"trace\.csv, line 3, arrival: 'x'; write seconds as a number, 0 or more"),
        ("-1,1,3g.40gb", "line 3, arrival: '-1'"),
        ("inf,1,3g.40gb", "line 3, arrival: 'inf'"),
        ("4,1,3g.40gb", "line 3, arrival: '4'; write 5 or later: sort the rows by arrival"),
        ("9,0,3g.40gb", "line 3, duration: '0'; write seconds as a number, more than 0"),
        ("9,,3g.40gb", "line 3, duration: ''"),
        ("9,nan,3g.40gb", "line 3, duration: 'nan'"),
        ("9,1,3g.20gb", "line 3, profile: '3g.20gb'; write a profile that a GPU of this fleet offers: 1g.10gb, "),
        ("9,1,large", "line 3, profile: 'large'; write a profile"),
        ("9,1", "line 3: 2 fields where the header has 3; write one each"),
        ('9,1,"3g', "line 3: unexpected end of data; write plain CSV"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_line_and_column(row: str, said: str) -> None:
    with pytest.raises(TraceError, match=said):
        read("arrival,duration,profile", "5,1,3g.40gb", row)


@pytest.mark.parametrize("share", ["0", "1.2", "-0.5", "nan", "half"])
def test_a_fraction_that_is_none_of_one_gpu_is_refused(share: str) -> None:
    with pytest.raises(TraceError, match=f"line 2, gpu_fraction: '{share}'; write a share of one GPU"):
        read("arrival,duration,gpu_fraction", f"0,1,{share}")


@pytest.mark.parametrize(("column", "text"), [("declared", "soon"), ("declared", "0"), ("priority", "1.5")])
def test_an_optional_column_is_checked_where_it_is_filled(column: str, text: str) -> None:
    with pytest.raises(TraceError, match=f"line 2, {column}: '{text}'"):
        read(f"arrival,duration,profile,{column}", f"0,1,3g.40gb,{text}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0,1,3g.40gb",
        "arrival,profile",
        "arrival,duration",
        "arrival,duration,profile,gpu_fraction",
        "arrival,duration,profile,node",
        "arrival,arrival,duration,profile",
    ],
)
def test_a_header_that_names_other_columns_is_refused_with_the_right_ones(header: str) -> None:
    with pytest.raises(TraceError, match=r"line 1: the header is .*; write arrival,duration,profile or"):
        read(header)


def test_a_file_is_read_with_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "excel.csv"
    file.write_bytes(b"\xef\xbb\xbfarrival,duration,profile\r\n0,1,3g.40gb\r\n")

    assert list(open_trace(file, shapes=[A100])) == [Arrival(0.0, 1.0, parse_profile("3g.40gb"))]


def test_a_file_that_is_missing_or_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"arrival,duration,profile\n\xff\xfe\n")

    with pytest.raises(TraceError, match=r"none\.csv cannot be read: No such file"):
        next(open_trace(tmp_path / "none.csv", shapes=[A100]))
    with pytest.raises(TraceError, match=r"binary\.csv is not UTF-8 text"):
        list(open_trace(tmp_path / "binary.csv", shapes=[A100]))


def test_rows_are_read_as_they_are_asked_for() -> None:
    """An endless trace gives its first rows at once: nothing is collected."""

    def endless() -> Iterator[str]:
        yield "arrival,duration,profile\n"
        number = 0
        while True:
            yield f"{number},60,3g.40gb\n"
            number += 1

    began = time.monotonic()
    rows = list(islice(read_trace(endless(), name="endless", shapes=[A100]), 10_000))

    assert rows[-1].at == 9_999.0
    assert time.monotonic() - began < 10.0
