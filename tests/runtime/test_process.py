"""How a process ends: in order at the first signal, at once at the second, and with a telling exit code."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, sys
from runtime.logs import configure
from runtime.process import run

class UserError(Exception):
    pass

async def main():
    print("started", flush=True)
    match sys.argv[1]:
        case "end":
            return
        case "crash":
            raise ValueError("broken")
        case "user":
            async with asyncio.TaskGroup():
                raise UserError("set FOO to a number")
        case "cancel":
            raise asyncio.CancelledError
        case "leave":
            await leaving.wait()
            print("left in its own time", flush=True)
            return
        case "linger":
            await asyncio.sleep(60)
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaning", flush=True)
        await asyncio.sleep(60 if sys.argv[1] == "slow" else 0.05)
        print("clean", flush=True)

def leave():
    leaving.set()
    return sys.argv[1] in ("leave", "linger")

leaving = asyncio.Event()
configure(log_format="text", level="info")
sys.exit(run(main, user_errors=(UserError,), leave=leave))
"""


def start(mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        ("end", 0, ""),
        ("crash", 1, "ValueError: broken"),
        ("user", 2, "set FOO to a number"),
        ("cancel", 1, "cancelled"),
    ],
)
def test_exit_codes_tell_the_end_from_a_crash_and_from_a_users_error(mode: str, code: int, said: str) -> None:
    process = start(mode)
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == ("", code)
    assert said in err
    assert ("Traceback" in err) == (mode == "crash")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_it_clean_up(number: signal.Signals) -> None:
    process = start("wait")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == ("cleaning\nclean\n", 0)
    assert f"{number.name}: stopping" in err


def test_the_second_signal_ends_it_at_once() -> None:
    process = start("slow")
    process.terminate()
    assert process.stdout is not None
    assert process.stdout.readline() == "cleaning\n"
    began = time.monotonic()
    process.terminate()
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 5
    process.communicate()


def test_a_main_that_leaves_by_itself_is_not_cancelled() -> None:
    process = start("leave")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("left in its own time\n", 0)


def test_a_second_signal_ends_one_that_takes_its_time() -> None:
    process = start("linger")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert "SIGTERM: stopping" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
