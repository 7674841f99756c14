"""Become another program that sees a simulated node's driver files where a machine with a driver has them.

Why: NVIDIA's tools read `/proc/driver` by its full path, and take nothing for a device node that is none. Promise: only the
program sees it. A mount namespace of its own has the node's `/proc/driver`, and a real character device, the null device,
over each plain file that stands for a device node below the node's root. It takes root, or user namespaces, as a node of
`cluster` does. Run as `python -m tests.nvml_clients.machine ROOT PROGRAM ARG...`.
"""

import os
import sys
from pathlib import Path

from cluster.launch import MS_BIND, MS_PRIVATE, MS_REC, mount, unshare


def main(root: Path, argv: list[str]) -> None:
    """Enter the namespace and become the program."""
    unshare()
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount(str(root / "proc" / "driver"), "/proc/driver", flags=MS_BIND)
    for file in (root / "dev").rglob("*"):
        if file.is_file():
            mount("/dev/null", file, flags=MS_BIND)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
