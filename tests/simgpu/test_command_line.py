"""`python -m simgpu` for a person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from simgpu import SimNode


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "simgpu", *arguments], capture_output=True, text=True, check=False)


def test_create_prints_what_to_export_and_show_prints_the_slices(tmp_path: Path) -> None:
    created = run("create", str(tmp_path / "node"), "h100-80gb")
    assert created.returncode == 0, created.stderr
    assert f"export SIMGPU_STATE={tmp_path / 'node'}" in created.stdout.splitlines()
    node = SimNode.open(tmp_path / "node")
    node.create_foreign(0, "3g.40gb", 4)
    shown = run("show", str(tmp_path / "node")).stdout
    assert "NVIDIA H100 80GB HBM3" in shown
    assert "3g.40gb      slices 4-7" in shown
    assert node.gpus[0].instances[0].compute_instances[0].uuid in shown


def test_a_mistake_is_answered_with_a_sentence(tmp_path: Path) -> None:
    wrong = run("create", str(tmp_path), "h1000")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("simgpu: no GPU model is called 'h1000'; known are")
    assert run("show", str(tmp_path / "none")).returncode == 1
    assert "a30-24gb" in run("models").stdout
