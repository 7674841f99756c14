"""`python -m simgpu` for a person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from simgpu import SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import GPU_IS_LOST


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


def test_faults_are_listed_added_and_cleared(a100: SimNode, connect: Connect) -> None:
    """They strike processes that run already; each command prints the faults that strike from now on."""
    nvml, node = connect(a100), str(a100.directory)
    assert run("fault", node, "list").stdout == ""
    text = "nvmlDeviceGetCount_v2:code=15"
    assert run("fault", node, "add", f"{text};nvmlDeviceGetName:code=3:times=2").stdout.splitlines() == [
        text,
        "nvmlDeviceGetName:code=3:times=2",
    ]
    assert nvml.fails(GPU_IS_LOST, "nvmlDeviceGetCount")
    assert run("fault", node, "list").stdout.splitlines()[0] == text
    assert run("fault", node, "clear").stdout == ""
    assert nvml.nvmlDeviceGetCount() == 1
    wrong = run("fault", node, "add", "nvmlDeviceGetCount_v2:kode=15")
    assert wrong.returncode == 1
    assert "write gpu=, code=, times=, block= or after, not: 'kode=15'" in wrong.stderr


def test_what_befalls_a_node_can_be_asked_for_at_a_terminal(a100: SimNode) -> None:
    """Lose, require a reset, reset, swap, reboot, and a driver in each of its states; each shows the GPUs then."""
    node, gpu = str(a100.directory), a100._file.state.gpus[0]
    assert run("lose", node, "0").stdout.startswith("GPU 0  NVIDIA A100-SXM4-80GB")
    assert gpu.lost
    assert run("reset", node, "0").returncode == 0
    assert not gpu.lost
    assert run("require-reset", node, "0").returncode == 0
    assert gpu.reset_required
    assert "NVIDIA H100 80GB HBM3" in run("swap", node, "0", "h100-80gb").stdout
    boot = a100.boot_id
    assert run("reboot", node).returncode == 0
    assert a100.boot_id != boot
    assert run("driver", node, "unload").returncode == 0
    assert a100._file.state.unloaded
    assert run("driver", node, "load").returncode == 0
    assert not a100._file.state.unloaded
    for state, differs in [("mismatch", 1), ("match", 0)]:
        assert run("driver", node, state).returncode == 0
        assert a100._file.state.mismatch == differs
    assert run("driver", node, "575.57.08").returncode == 0
    assert a100.driver_version == "575.57.08"
    assert run("linger", node, "250").returncode == 0
    assert gpu.linger_ms == 250
    wrong = run("lose", node, "3")
    assert (wrong.returncode, wrong.stderr) == (1, f"simgpu: {node} has no GPU 3; its GPUs are 0 to 0\n")
