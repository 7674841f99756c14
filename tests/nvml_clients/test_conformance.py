"""The conformance tests, run by themselves on a driver that they do not know, as on a machine with a GPU.

Here that driver is the simulated one, found by the loader like any other: what it counted tells what was done to it.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from simgpu import SimNode

HERE: Final = Path(__file__).parents[2]
RUN_S: Final = 100.0  # a run takes half a second; this is for machines that are busy
CHANGES: Final = ("Create", "Destroy", "Set", "Reset", "Clear")

pytestmark = pytest.mark.timeout(2.5 * RUN_S)


def conformance(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run them in a process of their own, as the documentation says."""
    command = [sys.executable, "-m", "pytest", "tests/conformance", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=HERE, check=False, capture_output=True, text=True, timeout=RUN_S
    )


@pytest.fixture
def small(tmp_path: Path) -> SimNode:
    """A GPU that is used, and an empty one."""
    node = SimNode.create(tmp_path / "small", gpus=["a30-24gb", "a30-24gb"])
    node.create_foreign(0, "2g.12gb", 0)
    return node


def test_a_driver_is_only_read_unless_it_is_allowed(small: SimNode) -> None:
    """No call that changes anything is so much as tried; what would need one is skipped, and says how to allow it."""
    before = small.gpus
    done = conformance(small.environment(), "--nvml=real")
    assert done.returncode == 0, done.stdout
    assert [name for name in small.calls() if any(word in name for word in CHANGES)] == []
    assert small.gpus == before
    assert "it would make instances: allow it with --nvml-may-change" in done.stdout


def test_what_is_allowed_touches_no_gpu_that_is_in_use(small: SimNode) -> None:
    """Instances are made on the empty GPU, and gone afterwards; the one in use is left alone, and nothing is read-only."""
    before = small.gpus
    done = conformance(small.environment(), "--nvml=real", "--nvml-may-change")
    assert done.returncode == 0, done.stdout
    assert small.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"] > 20
    assert small.gpus == before
    assert "GPU 1 MIG 1g.6gb at 3" in done.stdout
    assert "GPU 0 MIG 2g.12gb at 0" not in done.stdout


def test_every_fact_is_named_with_what_was_found(small: SimNode) -> None:
    """Also when all agree; each GPU is named with its model and mode."""
    told = conformance(small.environment(), "--nvml=real").stdout
    assert "GPU 1: NVIDIA A30, MIG mode 1, pending 1" in told
    assert " facts compared, 0 found otherwise" in told
    line = next(line for line in told.splitlines() if "found by UUID" in line)
    assert line.split() == ["ok", "GPU", "0", "found", "by", "UUID", "expected", "0,", "found", "the", "same"]


@pytest.mark.parametrize(
    ("function", "code", "noticed"),
    [
        ("nvmlDeviceGetGpuInstanceById", 3, "its id afterwards: expected NOT_FOUND, found NOT_SUPPORTED"),
        ("nvmlDeviceGetGpuInstanceProfileInfoByIdV", 6, "by profile id is answered: expected SUCCESS, found NOT_FOUND"),
        ("nvmlDeviceGetComputeRunningProcesses_v3", 2, "expected SUCCESS, found INVALID_ARGUMENT"),
    ],
)
def test_a_driver_that_answers_otherwise_is_found_out(small: SimNode, function: str, code: int, noticed: str) -> None:
    """One function of it gives another code than the agent relies on: the tests fail, and say what they found."""
    small.inject(function=function, code=code)
    done = conformance(small.environment(), "--nvml=real", "--nvml-may-change")
    assert done.returncode == 1
    assert noticed in done.stdout


def test_without_a_driver_it_says_what_to_do(tmp_path: Path) -> None:
    """A library that is none, and one that is not there."""
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")
    for option in (f"--nvml={tmp_path}/libnvidia-ml.so.1", f"--nvml={tmp_path}/absent.so"):
        done = conformance({"LD_LIBRARY_PATH": ""}, option)
        assert done.returncode == 1
        assert "name a library with --nvml=PATH" in done.stdout
