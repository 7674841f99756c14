"""A stream's lines come out whole, however the network cut them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube.lines import LineBuffer, LineTooLongError


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line and line.strip())), st.data())
def test_any_cut_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    buffer = LineBuffer(max_line=1 << 20)
    out = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        out += list(buffer.feed(whole[start:end]))
    assert out == lines


def test_half_a_line_is_never_given() -> None:
    assert list(LineBuffer(max_line=100).feed(b"a\nhalf")) == [b"a"]


def test_endless_lines_are_refused_before_they_fill_the_memory() -> None:
    buffer = LineBuffer(max_line=100)
    for _ in range(10):
        assert list(buffer.feed(b"x" * 10)) == []
    with pytest.raises(LineTooLongError):
        list(buffer.feed(b"x"))
