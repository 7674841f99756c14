"""Only the very process that was noted is ever ended by its note."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.processes import end_recorded, identity, record


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_noted_process_is_ended(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    record(tmp_path, sleeper.pid)

    assert end_recorded(tmp_path) == [sleeper.pid]
    assert sleeper.wait(5.0) == -9


def test_another_process_with_the_noted_pid_is_left_alone(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The note is of a process that had this pid earlier: its start time differs."""
    start, boot = (identity(sleeper.pid) or "").split()
    (tmp_path / str(sleeper.pid)).write_text(f"{int(start) - 1} {boot}")

    assert end_recorded(tmp_path) == []
    assert sleeper.poll() is None


def test_a_note_from_before_a_reboot_ends_nobody(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    start, _ = (identity(sleeper.pid) or "").split()
    (tmp_path / str(sleeper.pid)).write_text(f"{start} 00000000-0000-0000-0000-000000000000")

    assert end_recorded(tmp_path) == []
    assert sleeper.poll() is None


def test_a_process_that_is_gone_has_no_identity() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identity(process.pid) is None, "dead, though not yet reaped"
        process.wait()
    assert identity(process.pid) is None
