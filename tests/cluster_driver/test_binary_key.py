"""The binary that is used is the one of these very sources."""

import os
import shutil
from pathlib import Path

import pytest

from cluster import BuildError, kube_binary
from cluster.build import SOURCES, source_key


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOURCES, tmp_path / "kube"))


def test_the_same_sources_elsewhere_have_the_same_key(sources: Path) -> None:
    assert source_key(sources) == source_key(SOURCES)


@pytest.mark.parametrize("name", sorted(path.name for path in SOURCES.iterdir()))
def test_a_change_of_any_source_changes_the_key(sources: Path, name: str) -> None:
    with (sources / name).open("a") as source:
        source.write("\n")

    assert source_key(sources) != source_key(SOURCES)


def test_moving_text_from_one_source_to_the_next_changes_the_key(tmp_path: Path) -> None:
    keys = set()
    for first, second in (("ab", "c"), ("a", "bc")):
        folder = tmp_path / first
        folder.mkdir()
        for name, text in (("a.go", first), ("b.go", second), ("go.mod", ""), ("go.sum", "")):
            (folder / name).write_text(text)
        keys.add(source_key(folder))

    assert len(keys) == 2


def test_a_named_binary_is_used_as_it_is(tmp_path: Path) -> None:
    binary = tmp_path / "kube"
    binary.touch(mode=0o755)

    assert kube_binary(environ={"NOS_KUBE_BINARY": str(binary)}) == binary


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_named_binary_that_cannot_be_run_is_refused_by_name(tmp_path: Path, mode: int | None) -> None:
    binary = tmp_path / "kube"
    if mode is not None:
        binary.touch(mode=mode)

    with pytest.raises(BuildError, match=f"NOS_KUBE_BINARY={binary} is no executable file"):
        kube_binary(environ={"NOS_KUBE_BINARY": str(binary)})


def test_a_failed_build_says_why_and_leaves_no_binary(tmp_path: Path) -> None:
    """The proxy is one that cannot be, so the first module that is needed cannot be fetched."""
    lines: list[str] = []
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GOPROXY": "http://127.0.0.1:9",
        "GOFLAGS": "-modcacherw",
        "GONOSUMDB": "*",
    }

    with pytest.raises(BuildError, match=r"(?s)fetching Go modules failed .*build\.log.*127\.0\.0\.1:9"):
        kube_binary(environ=environ, report=lines.append)

    assert lines
    assert not list((tmp_path / "cache").rglob("kube/*/kube"))
