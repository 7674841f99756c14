"""The compiled library: made once, whole, by whichever process is first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simgpu import BuildError, library

PRINT_PATH = "import simgpu; print(simgpu.library())"


def ask(cache: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRINT_PATH],
        env={**os.environ, "XDG_CACHE_HOME": str(cache), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_many_processes_at_once_get_one_library(tmp_path: Path) -> None:
    processes = [ask(tmp_path) for _ in range(3)]
    answers = {process.communicate()[0].strip() for process in processes}
    (path,) = answers
    assert path.endswith("/libnvidia-ml.so.1")
    assert {file.name for file in Path(path).parent.iterdir()} == {"libnvidia-ml.so.1", "lock"}


def test_a_finished_library_is_not_made_again() -> None:
    first = library()
    made = first.stat().st_mtime_ns
    assert library() == first
    assert first.stat().st_mtime_ns == made


def test_a_failing_compiler_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message carries the compiler's own words; nothing half-made stays."""
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho 'no space left on device' >&2\nexit 3\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match="ended with 3:\nno space left on device"):
        library()
    assert not list((tmp_path / "cache").rglob("libnvidia-ml.so.1*"))
