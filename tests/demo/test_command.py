"""`nos-mig demo` as a user runs it: it comes out as it should, stays when told to, and leaves nothing behind."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import kube_binary
from simgpu import library

NOS_MIG = str(Path(sys.executable).with_name("nos-mig"))

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The user's own, but for folders in which anything left behind would be seen."""
    library()
    with tempfile.TemporaryDirectory(prefix="d-") as short:  # unix sockets want short paths
        yield {
            **os.environ,
            "NOS_KUBE_BINARY": str(kube_binary()),
            "XDG_CACHE_HOME": str(tmp_path),
            "TMPDIR": short,
        }


def demo(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NOS_MIG, "demo", *words], env=environment, capture_output=True, text=True, check=False, timeout=200
    )


def left_behind(environment: dict[str, str]) -> list[str]:
    """Folders of clusters, and processes that know of one."""
    folders = [path.name for path in Path(environment["TMPDIR"]).iterdir() if not path.name.startswith("nos-mig-ports")]
    found = subprocess.run(["pgrep", "-f", environment["TMPDIR"]], capture_output=True, text=True, check=False)
    return folders + found.stdout.split()


def test_it_ends_with_0_when_every_pod_came_out_and_leaves_nothing_behind(environment: dict[str, str]) -> None:
    done = demo(environment, "--exit", "--no-latencies")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "As it should be: 11 Pods run, 1 was refused, 1 waits." in done.stdout
    assert left_behind(environment) == []


def test_detached_it_stays_without_pods_until_it_is_stopped(environment: dict[str, str]) -> None:
    done = demo(environment, "--detach", "--nodes", "1", "--gpus", "1", "--no-latencies")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        (kubeconfig,) = re.findall(r"^KUBECONFIG=(.+)$", done.stdout, re.MULTILINE)
        kubectl = Path(kubeconfig).parent / "bin" / "kubectl"
        shown = subprocess.run(
            [kubectl, "--kubeconfig", kubeconfig, "get", "migspecs,pods"], capture_output=True, text=True, check=True
        )
        assert "gpu-node-1" in shown.stdout
        assert "pod/" not in shown.stdout
        assert demo(environment, "--detach").returncode == 1
    finally:
        stopped = demo(environment, "--stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert left_behind(environment) == []
    assert demo(environment, "--stop").stdout == "no detached demo runs\n"
