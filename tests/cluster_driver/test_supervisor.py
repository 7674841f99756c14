"""A supervised program is there as long as it is wanted, and not a moment longer."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import Supervisor
from cluster.processes import identity

OWNER = """
import sys, time
from pathlib import Path
from cluster import Supervisor
folder = Path(sys.argv[1])
child = Supervisor(folder / "pids").spawn("sleeper", ["sleep", "600"], log=folder / "log")
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "pids")
    yield supervisor
    supervisor.stop_all()


def eventually(condition: Callable[[], bool], *, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_killed_child_is_back_soon(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.spawn("sleeper", ["sleep", "600"], log=tmp_path / "log")
    first = child.pid

    child.kill(signal.SIGKILL)

    assert eventually(lambda: child.pid not in {first, None}, within_s=10.0)
    assert child.returncode == -signal.SIGKILL


def test_a_child_that_always_dies_is_tried_again_more_slowly_up_to_a_bound(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    child = supervisor.spawn("failing", ["sh", "-c", "date +%s.%N; exit 1"], log=log)

    assert eventually(lambda: child.starts >= 8, within_s=40.0)

    times = [float(line) for line in log.read_text().split()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(pauses[-2:]) < 3.0, "pauses that only doubled would be 3.2 and 6.4 s by now"
    assert pauses[-1] > 0.9, "a failing child is tried more slowly"


def test_a_child_that_is_to_run_once_is_not_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.spawn("once", ["sh", "-c", "exit 7"], log=tmp_path / "log", restart=False)

    assert child.wait(5.0) == 7
    assert child.starts == 1
    assert supervisor.children == ()


def test_a_stopped_child_stays_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.spawn("sleeper", ["sleep", "600"], log=tmp_path / "log")

    child.stop()

    assert child.finished
    assert child.pid is None
    assert child.returncode == -signal.SIGTERM
    assert list((tmp_path / "pids").iterdir()) == []


def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_up(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = supervisor.spawn("stubborn", ["sh", "-c", "trap '' TERM; echo ready; sleep 600 & wait"], log=log)
    assert eventually(lambda: "ready" in log.read_text())

    began = time.monotonic()
    child.stop(timeout=0.5)

    assert 0.5 <= time.monotonic() - began < 10.0  # `sleep` would have gone on for minutes
    assert child.returncode == -signal.SIGKILL


def test_a_stopped_process_can_be_ended_too(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.spawn("sleeper", ["sleep", "600"], log=tmp_path / "log")
    child.kill(signal.SIGSTOP)

    child.stop(timeout=0.5)

    assert child.finished


def test_what_a_child_started_ends_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = supervisor.spawn("parent", ["sh", "-c", "sleep 600 & echo $!; wait"], log=log, restart=False)
    assert eventually(lambda: log.read_text().strip() != "")
    grandchild = int(log.read_text())

    child.kill(signal.SIGKILL)
    child.wait(5.0)

    assert eventually(lambda: identity(grandchild) is None)


def test_a_missing_program_is_named_in_the_log(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = supervisor.spawn("missing", ["/no/such/program"], log=log, restart=False)

    child.wait(5.0)

    assert "/no/such/program" in log.read_text()


def test_a_child_gets_the_environment_that_it_is_given(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = supervisor.spawn("env", ["/usr/bin/env"], env={"A": "b=c"}, log=log, restart=False)

    child.wait(5.0)

    assert log.read_text() == "A=b=c\n"


def test_children_die_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        assert eventually(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"))
        os.kill(owner.pid, signal.SIGKILL)

    assert eventually(lambda: identity(child) is None)
