"""A machine's own Go is used only if it is new enough."""

import shutil
from pathlib import Path

import pytest

from cluster import BuildError
from cluster.build import SOURCES
from cluster.toolchain import WHEEL, find_go, required_go


def stand_in(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho {version}\n")
    go.chmod(0o755)
    return go


def kept_wheel(cache: Path) -> Path:
    """Lay out a cache as after the wheel's installation."""
    environment = cache / WHEEL.replace("==", "-")
    return stand_in(environment / "lib" / "python3.11" / "site-packages" / "go" / "bin", "go1.27.3")


def test_the_sources_name_the_go_that_they_need() -> None:
    assert required_go((SOURCES / "go.mod").read_text()) >= (1, 26)


def test_a_go_mod_without_a_version_is_refused() -> None:
    with pytest.raises(BuildError, match="names no Go version"):
        required_go("module example.invalid/kube\n")


@pytest.mark.parametrize(
    ("version", "own"),
    [("go1.26.0", True), ("go1.26.8", True), ("go1.100.1", True), ("go1.25.9", False), ("devel +abc", False)],
)
def test_the_go_on_path_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, own: bool
) -> None:
    on_path = stand_in(tmp_path / "bin", version)
    from_wheel = kept_wheel(tmp_path / "cache")
    monkeypatch.setenv("PATH", f"{on_path.parent}:{Path(shutil.which('sh') or '').parent}")

    found = find_go(required=(1, 26, 0), cache=tmp_path / "cache", report=lambda _: None)

    assert found == (on_path if own else from_wheel)
