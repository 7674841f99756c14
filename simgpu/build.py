"""Compiles the simulated `libnvidia-ml.so.1` once and keeps it in the user's cache.

Promise: the path that `library()` returns is a complete library made of exactly these sources; any number of processes
may ask at once, one compiles and the others wait. A machine without a C compiler gets one from the PyPI wheel `ziglang`,
installed into a virtual environment in the same cache. Warnings are no errors here (an unknown compiler may know new
ones); the tests compile with `-Werror`.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simgpu.errors import BuildError

SONAME = "libnvidia-ml.so.1"
SOURCES = Path(__file__).parent
FLAGS = (
    *("-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"),
    f"-Wl,-soname,{SONAME}",
)
ZIG = "ziglang>=0.14,<1"  # the wheel of a whole C compiler, about 80 MB
INSTALL_SECONDS = 600
COMPILE_SECONDS = 300  # zig builds its own C runtime the first time

_log = logging.getLogger(__name__)


def library() -> Path:
    """Return the library's path, compiling it first if need be. Raises BuildError."""
    target = _cache() / _key() / SONAME
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(target.parent / "lock"):
            if not target.exists():
                _compile(target)
    return target


def compiler() -> list[str]:
    """Return the command of a C compiler: the machine's, else zig's, installed on demand. Raises BuildError."""
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    return _zig()


def c_files() -> list[Path]:
    """Return the C sources, in a fixed order."""
    return sorted(SOURCES.glob("*.c"))


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "nos-mig" / "simgpu"


def _key() -> str:
    digest = hashlib.sha256(f"{platform.machine()} {FLAGS}".encode())
    for source in [*c_files(), *sorted(SOURCES.glob("*.h"))]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(target: Path) -> None:
    unfinished = target.with_suffix(f".{os.getpid()}")
    command = [*compiler(), *FLAGS, "-o", str(unfinished), *map(str, c_files())]
    _log.info("compiling the simulated NVIDIA library with %s", command[0])
    _run(command, seconds=COMPILE_SECONDS, what="compile the simulated NVIDIA library")
    unfinished.replace(target)


def _zig() -> list[str]:
    home = _cache() / "zig"
    python = home / "bin" / "python"
    _cache().mkdir(parents=True, exist_ok=True)
    with _exclusive(_cache() / "zig.lock"):
        if not (home / "complete").exists():
            _log.info("no C compiler on PATH: installing one from the PyPI wheel ziglang (about 80 MB)")
            what = "install a C compiler from the PyPI wheel ziglang (or install gcc or clang yourself)"
            _run([sys.executable, "-m", "venv", "--clear", str(home)], seconds=INSTALL_SECONDS, what=what)
            _run([str(python), "-m", "pip", "install", "--quiet", ZIG], seconds=INSTALL_SECONDS, what=what)
            (home / "complete").touch()
    return [str(python), "-m", "ziglang", "cc"]


def _run(command: list[str], *, seconds: float, what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"cannot {what}: {error}") from error
    if done.returncode != 0:
        raise BuildError(f"cannot {what}: {' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()}")
