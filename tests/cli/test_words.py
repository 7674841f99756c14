"""The console script: one word picks a component, and each component's options are its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMPONENTS, main

SCRIPT = str(Path(sys.executable).with_name("nos-mig"))


def test_without_a_word_every_component_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for, it is no error."""
    assert main([]) == 2
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMPONENTS)


def test_a_word_that_nobody_knows_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, with status 2."""
    assert main(["nodeagnet"]) == 2
    assert "'nodeagnet' is no component; one of webhook, allocator, nodeagent" in capsys.readouterr().err


@pytest.mark.parametrize("word", COMPONENTS)
def test_each_component_explains_its_options(word: str) -> None:
    """By the installed script."""
    done = subprocess.run([SCRIPT, word, "--help"], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.startswith(f"usage: nos-mig {word} ")


def test_only_the_chosen_component_is_loaded() -> None:
    """An agent carries no inspection, no demo and no allocator."""
    says = "import sys; from cli.main import main\ntry: main(['nodeagent', '--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True, timeout=50, check=False)
    loaded = set(done.stdout.split())
    assert "nodeagent.main" in loaded
    assert not loaded & {"nodeagent.inspection.main", "demo.main", "allocator.main", "webhook.main", "rich"}


def test_inspect_takes_the_node_from_the_pods_environment() -> None:
    """So that `kubectl exec` needs no options; elsewhere the node must be named."""
    environment = {key: value for key, value in os.environ.items() if key != "NODE_NAME"}
    words = [SCRIPT, "inspect", "--kubeconfig", "/nowhere"]
    unnamed = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False, env=environment)
    assert unnamed.returncode == 2
    assert "--node-name" in unnamed.stderr
    environment |= {"NODE_NAME": "gpu-7", "LD_LIBRARY_PATH": ""}
    named = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False, env=environment)
    assert named.returncode == 2
    assert named.stdout.startswith("Node gpu-7\n")
    assert named.stderr == ""
