"""The one binary that is a whole cluster: named by the user, or built once and kept.

It is built from the sources in `cluster/kube` and published Go modules, and kept in the user's cache folder under a key made of
those sources and of how they are built, so that a change of either makes a new one. Builders at the same time wait for each
other; a binary is there whole or not at all.
"""

import fcntl
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cluster.errors import BuildError
from cluster.progress import REPORT_EVERY_S, Tally, run_visibly, say
from cluster.toolchain import find_go, required_go

SOURCES: Final = Path(__file__).parent / "kube"
OVERRIDE: Final = "NOS_KUBE_BINARY"
KUBERNETES: Final = "v1.37.2"
"""As in go.mod; the components report it as theirs."""

_MAJOR, _MINOR, _ = KUBERNETES.removeprefix("v").split(".")
FLAGS: Final = (
    "-trimpath",
    "-buildvcs=false",
    (
        "-ldflags=-s -w"
        f" -X k8s.io/component-base/version.gitVersion={KUBERNETES}"
        f" -X k8s.io/component-base/version.gitMajor={_MAJOR} -X k8s.io/component-base/version.gitMinor={_MINOR}"
        f" -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}"
    ),
)


def kube_binary(*, environ: Mapping[str, str] = os.environ, report: Callable[[str], None] = say) -> Path:
    """Return the binary, building it first if need be; raises BuildError if there can be none."""
    named = environ.get(OVERRIDE)
    if named:
        return _checked(Path(named))
    cache = cache_folder(environ)
    binary = cache / source_key(SOURCES) / "kube"
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w", encoding="ascii") as lock:
            wait_for(lock.fileno(), report)
            if not binary.exists():  # somebody else may have built it while we waited
                _build(binary, cache=cache, environ=environ, report=report)
    return binary


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where binaries are kept, by the XDG rules."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "nos-mig" / "kube"


def source_key(sources: Path, flags: tuple[str, ...] = FLAGS) -> str:
    """Return a name for what a build of these sources, with these flags, yields."""
    digest = hashlib.sha256(repr((flags, platform.machine())).encode())
    for path in sorted([*sources.glob("*.go"), sources / "go.mod", sources / "go.sum"]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _checked(binary: Path) -> Path:
    if not (binary.is_file() and os.access(binary, os.X_OK)):
        raise BuildError(f"{OVERRIDE}={binary} is no executable file: name the binary itself, or unset it to build one")
    return binary.resolve()


def wait_for(lock: int, report: Callable[[str], None]) -> None:
    """Lock, and say every few seconds that we still wait: whoever holds it may take minutes."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that builds the same binary …")
            time.sleep(REPORT_EVERY_S)
        else:
            return


def _build(binary: Path, *, cache: Path, environ: Mapping[str, str], report: Callable[[str], None]) -> None:
    report(f"Building Kubernetes {KUBERNETES} from its published modules, once: 8 to 12 minutes on 2 cores.")
    go = find_go(required=required_go((SOURCES / "go.mod").read_text("utf-8")), cache=cache, report=report)
    env = {**environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    log = binary.with_name("build.log")
    log.write_text("", encoding="utf-8")
    modules = sum("/go.mod " not in line for line in (SOURCES / "go.sum").read_text("utf-8").splitlines())
    fetching = Tally(
        lambda line: line.startswith("go: downloading"),
        unit="modules fetched",
        total=modules,
        is_data=lambda line: " " not in line,  # a package's path; messages have blanks
    )
    run_visibly(
        [str(go), "list", "-deps", *FLAGS[:2], "."],
        what="fetching Go modules", tally=fetching, log=log, cwd=SOURCES, env=env, report=report,
    )  # fmt: skip
    compiling = Tally(lambda line: " " not in line, unit="packages compiled", total=fetching.data_lines)
    with tempfile.TemporaryDirectory(dir=binary.parent) as aside:
        built = Path(aside) / "kube"
        run_visibly(
            [str(go), "build", "-v", *FLAGS, "-o", str(built), "."],
            what="compiling and linking", tally=compiling, log=log, cwd=SOURCES, env=env, report=report,
        )  # fmt: skip
        built.rename(binary)
    report(f"built {binary}")
