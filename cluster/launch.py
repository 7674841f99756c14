"""Become another program whose life is tied to its parent's, in mount namespaces of its own if asked.

Run as a script, `python -I -S launch.py '{"parent": PID, "argv": [...], "isolation": null}'`: it imports nothing of ours,
so that it starts within 50 ms and stays single-threaded, as unshare(2) demands. The kernel kills what it becomes as soon
as the thread that started it ends (PR_SET_PDEATHSIG), so the caller must start it from a thread that lives as long.

The isolation exists because some of the kubelet's paths are constants: its device-plugin folder under /var/lib/kubelet,
/var/log/containers and a few kernel settings that it would change on the machine. It sees its own of each; everything else
in those folders stays visible to it. Nothing outside sees any of this.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

NOT_STARTED: Final = 126
"""Exit status: something kept the program from starting, and standard error says what."""

PR_SET_PDEATHSIG: Final = 1
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18

SYSCTLS: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""What a kubelet insists on (setupKernelTunables in its container manager). It finds them set and sets nothing."""

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    """Raise the OSError of a failed C call."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: Path | str, *, kind: str | None = None, flags: int = 0) -> None:
    """Attach a filesystem, or a folder once more, at a place in this namespace."""
    result = libc.mount(source.encode(), str(target).encode(), kind and kind.encode(), ctypes.c_ulong(flags), None)
    checked(result, f"mount {source} on {target}")


def unshare() -> None:
    """Enter a mount namespace of our own: as root that alone, otherwise as the root of a new user namespace."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and libc.unshare(CLONE_NEWNS) == 0:
        return
    checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare user and mount namespaces")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def cover(folder: Path, *, without: str) -> None:
    """Lay a writable folder over one of the machine's; its entries stay visible in it, except that one."""
    before = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    mount("none", folder, kind="tmpfs")
    for entry in os.scandir(f"/proc/self/fd/{before}"):
        place = folder / entry.name
        if entry.name == without:
            continue
        if entry.is_symlink():
            place.symlink_to(Path(entry.path).readlink())
        elif entry.is_dir():
            place.mkdir()
            mount(entry.path, place, flags=MS_BIND | MS_REC)
    os.close(before)


def isolate(plan: dict[str, str]) -> None:
    """Give this process its own device-plugin folder, log folder and kernel settings."""
    unshare()
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    scratch = Path(plan["scratch"])
    cover(Path("/var/lib"), without="kubelet")
    plugins = Path("/var/lib/kubelet/device-plugins")
    plugins.mkdir(parents=True)
    mount(plan["device_plugins"], plugins, flags=MS_BIND)
    cover(Path("/var/log"), without="containers")
    for name, value in SYSCTLS.items():
        setting = Path("/proc/sys") / name
        if setting.exists():
            pretended = scratch / name.replace("/", ".")
            pretended.write_text(f"{value}\n", encoding="ascii")
            mount(str(pretended), setting, flags=MS_BIND)


def original_environment() -> dict[bytes, bytes]:
    """Return the environment as it was given to us: the interpreter adds to its own."""
    entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    return dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)


def launch(order: dict[str, Any]) -> None:
    """Do as ordered; returns only by an exception."""
    if order["isolation"] is not None:
        isolate(order["isolation"])
    # After unshare, whose change of credentials clears it.
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")
    if os.getppid() != order["parent"]:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)
    argv: list[str] = order["argv"]
    try:
        os.execvpe(argv[0], argv, original_environment())  # noqa: S606 - no shell is the point
    except OSError as error:
        raise OSError(error.errno, f"cannot run {argv[0]}: {error.strerror}") from error


def main() -> None:
    """Launch what the one argument says, or exit with what kept us from it."""
    try:
        launch(json.loads(sys.argv[1]))
    except OSError as error:
        sys.stderr.write(f"launch: {error}\n")
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
