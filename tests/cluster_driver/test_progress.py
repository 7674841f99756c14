"""What takes long is never silent, and what fails says where to look."""

from pathlib import Path

import pytest

from cluster import BuildError
from cluster.processes import identity
from cluster.progress import REPORT_EVERY_S, Tally, run_visibly


def test_a_long_run_reports_its_count_at_least_every_ten_seconds(tmp_path: Path) -> None:
    lines: list[str] = []
    run_visibly(
        ["sh", "-c", "echo one; echo two; sleep 1.5"],
        what="counting",
        tally=Tally(lambda _: True, unit="words", total=7),
        log=tmp_path / "log",
        report=lines.append,
        every_s=1.0,
    )

    assert lines == ["counting …", "  counting: 2 of at most 7 words, 0:01"]
    assert REPORT_EVERY_S < 10
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_failure_quotes_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "seq 100; echo the cause >&2; exit 3"

    with pytest.raises(BuildError) as raised:
        run_visibly(
            ["sh", "-c", script],
            what="counting",
            tally=Tally(lambda _: True, unit="words"),
            log=log,
            report=lambda _: None,
        )

    message = str(raised.value)
    assert message.startswith(f"counting failed with exit status 3. The last lines of {log}:")
    assert message.endswith("  100\n  the cause")
    assert "\n  50\n" not in message


def test_an_interrupted_wait_ends_the_program(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def interrupt(line: str) -> None:
        if "0:00" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_visibly(
            ["sh", "-c", "echo $$; exec sleep 600"],
            what="waiting",
            tally=Tally(lambda _: True),
            log=log,
            report=interrupt,
            every_s=0.5,
        )

    assert identity(int(log.read_text())) is None


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="counting: cannot start no-such-program"):
        run_visibly(
            ["no-such-program"],
            what="counting",
            tally=Tally(lambda _: True, unit="words"),
            log=tmp_path / "log",
            report=lambda _: None,
        )
