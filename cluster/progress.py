"""Run something long and never be silent about it.

Every few seconds there is a line that says what is going on, how far it is and since when; the program's own output goes to
a log. It promises no estimate of the rest: machines differ too much.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from cluster.errors import BuildError, tail

REPORT_EVERY_S: Final = 5.0


def say(line: str) -> None:
    """Write one line for the person who waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class Tally:
    """How many of a program's output lines count as a step, out of how many; what else is data, and how much of it."""

    def __init__(
        self,
        is_step: Callable[[str], bool],
        *,
        unit: str = "",
        total: int | None = None,
        is_data: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.data_lines = 0
        self._is_step = is_step
        self._is_data = is_data
        self._unit = unit
        self._total = total
        self._steps = 0

    def add(self, line: str) -> bool:
        """Take one line of output; returns whether it belongs into the log, as all but data does."""
        self._steps += self._is_step(line)
        is_data = self._is_data(line)
        self.data_lines += is_data
        return not is_data

    def __str__(self) -> str:
        total = "" if self._total is None else f" of at most {self._total}"
        return f"{self._steps}{total} {self._unit}, " if self._unit else ""


def run_visibly(
    argv: Sequence[str],
    *,
    what: str,
    tally: Tally,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    report: Callable[[str], None],
    every_s: float = REPORT_EVERY_S,
) -> None:
    """Run a program to its end; raises BuildError with the end of its log if it fails or cannot be started."""
    began = time.monotonic()
    report(f"{what} …")
    try:
        process = subprocess.Popen(
            list(argv), cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise BuildError(f"{what}: cannot start {argv[0]}: {error}") from error
    with process, log.open("a", encoding="utf-8") as output:
        assert process.stdout is not None
        reader = threading.Thread(target=_follow, args=(process.stdout, output, tally), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(every_s)
                if reader.is_alive():
                    report(f"  {what}: {tally}{_clock(time.monotonic() - began)}")
        except BaseException:  # Ctrl-C, mostly: it must not go on behind our back
            process.kill()
            reader.join()
            raise
        returncode = process.wait()
    if returncode != 0:
        raise BuildError(f"{what} failed with exit status {returncode}. {tail(log)}")


def _follow(stream: IO[str], log: IO[str], tally: Tally) -> None:
    for line in stream:
        if tally.add(line.rstrip("\n")):
            log.write(line)
            log.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
