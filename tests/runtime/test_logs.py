"""One event is one line, with its fields, whatever is in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from runtime.logs import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_json_lines_carry_level_logger_message_and_fields(out: io.StringIO) -> None:
    configure(log_format="json", level="info", stream=out)
    logging.getLogger("a.b").warning("took %d", 3, extra={"pod": "ns/p", "message2": object, "time": "not this"})
    line = json.loads(out.getvalue())
    assert (line["level"], line["logger"], line["message"], line["pod"]) == ("warning", "a.b", "took 3", "ns/p")
    assert line["time"].endswith("Z")


def test_a_json_exception_is_in_its_line(out: io.StringIO) -> None:
    configure(log_format="json", level="info", stream=out)
    try:
        int("first\nsecond")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    [line] = out.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["error"]


def test_text_lines_are_for_humans(out: io.StringIO) -> None:
    configure(log_format="text", level="info", stream=out)
    logging.getLogger("x").info("two\nlines", extra={"why": "no room", "pod": "p"})
    [line] = out.getvalue().splitlines()
    assert line.endswith(' info    x: two\\nlines why="no room" pod=p')


def test_levels_below_the_chosen_one_are_silent(out: io.StringIO) -> None:
    configure(log_format="text", level="warning", stream=out)
    logging.getLogger("x").info("quiet")
    assert out.getvalue() == ""
