"""The demo that goes on without a terminal: `--detach` starts it, `--stop` ends it.

A process of its own owns the stack, so that nothing outlives it; a note in the user's cache folder says which process that
is. A note whose process is gone, or is another one by now, counts for nothing.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.processes import identity
from demo import stack as stacks
from demo.options import Options

START_TIMEOUT_S: Final = 1200.0
STOP_TIMEOUT_S: Final = 60.0
NEXT = """\
To use it:
  export KUBECONFIG={kubeconfig}
  export PATH={tools}:$PATH
  kubectl get migspecs
To end it:
  nos-mig demo --stop        (or: make demo ARGS=--stop)"""


@dataclass(frozen=True, slots=True)
class _Note:
    """Who owns the detached stack, and where it is; `kubeconfig` is empty until it is ready."""

    pid: int
    identity: str
    kubeconfig: str = ""
    tools: str = ""

    def alive(self) -> bool:
        return identity(self.pid) == self.identity


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nos-mig"


def _read() -> _Note | None:
    try:
        note = _Note(**json.loads((_folder() / "demo.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.alive() else None


def _write(note: _Note) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    fresh = _folder() / f"demo.json.{os.getpid()}"
    fresh.write_text(json.dumps({name: getattr(note, name) for name in note.__dataclass_fields__}))
    fresh.replace(_folder() / "demo.json")


def detach(options: Options) -> int:
    """Start the demo in the background; returns when it can be used."""
    running = _read()
    if running is not None:
        print(
            f"a detached demo runs already (process {running.pid}); end it with: nos-mig demo --stop", file=sys.stderr
        )
        return 1
    _folder().mkdir(parents=True, exist_ok=True)
    log = _folder() / "demo.log"
    with log.open("wb") as output:
        owner = subprocess.Popen(
            [str(Path(sys.executable).with_name("nos-mig")), "demo", "--serve", *options.words()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    shown = 0
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        shown = _follow(log, shown)
        note = _read()
        if note is not None and note.pid == owner.pid and note.kubeconfig:
            print(NEXT.format(kubeconfig=note.kubeconfig, tools=note.tools))
            print(f"KUBECONFIG={note.kubeconfig}", flush=True)
            return 0
        if owner.poll() is not None:
            _follow(log, shown)
            return owner.returncode or 1
        time.sleep(0.1)
    owner.terminate()
    print(f"the demo was not ready after {START_TIMEOUT_S:.0f} s; its log: {log}", file=sys.stderr)
    return 1


def _follow(log: Path, shown: int) -> int:
    text = log.read_text(errors="replace")
    sys.stdout.write(text[shown:])
    sys.stdout.flush()
    return len(text)


def serve(options: Options) -> int:
    """Own the stack until SIGTERM."""
    me = os.getpid()
    own = identity(me) or ""
    _write(_Note(me, own))
    try:
        with stacks.running(options.plans(), allocators=2, say=_say) as stack:
            tools = str(stack.directory / "bin")
            _write(_Note(me, own, str(stack.cluster.kubeconfig), tools))
            _wait_for_ever()
    finally:
        (_folder() / "demo.json").unlink(missing_ok=True)
    return 0


def _wait_for_ever() -> None:
    while True:
        signal.pause()


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def stop() -> int:
    """End the detached demo; returns when nothing of it is left."""
    note = _read()
    if note is None:
        print("no detached demo runs")
        return 0
    os.kill(note.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while note.alive():
        if time.monotonic() > deadline:
            print(f"process {note.pid} has not ended after {STOP_TIMEOUT_S:.0f} s; kill -9 it", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print("ended")
    return 0
