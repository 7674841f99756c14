"""Whether and how this machine lets a node have its own constant folders.

The namespaces themselves are made by `cluster/launch.py` inside the process that needs them; here is what the rest of
the package knows of it: the plan for one node, and a check beforehand with an answer that an administrator can use.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster import launch
from cluster.errors import IsolationError

CHECK_TIMEOUT_S: Final = 30.0

ADVICE: Final = """\
This machine does not let {who} make the namespaces that each node's kubelet needs ({reason}).
Do one of these:
  * allow user namespaces:  sysctl -w user.max_user_namespaces=15000
      Debian:               sysctl -w kernel.unprivileged_userns_clone=1
      Ubuntu 23.10 or newer: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
  * run as root (then a mount namespace alone is enough)
  * in a container: give it the capability SYS_ADMIN and no AppArmor profile, or run it privileged"""


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """The folders that a kubelet sees as its own constant ones."""

    device_plugins: Path
    scratch: Path
    """An empty folder for what stands in for the kernel's settings."""


def launch_argv(argv: list[str], *, isolation: Isolation | None = None) -> list[str]:
    """Return the command line that becomes `argv`, tied to the life of the calling thread."""
    plan = isolation and {"device_plugins": str(isolation.device_plugins), "scratch": str(isolation.scratch)}
    order = {"parent": os.getpid(), "argv": argv, "isolation": plan}
    return [sys.executable, "-I", "-S", launch.__file__, json.dumps(order)]


def check_isolation() -> None:
    """Raise IsolationError, with what to do about it, where no node could be started."""
    with tempfile.TemporaryDirectory(prefix="nos-mig-check-") as folder:
        plan = Isolation(device_plugins=Path(folder), scratch=Path(folder))
        argv = launch_argv([sys.executable, "-I", "-S", "-c", ""], isolation=plan)
        attempt = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S)
    if attempt.returncode != 0:
        who = "root" if os.geteuid() == 0 else "an ordinary user"
        raise IsolationError(ADVICE.format(who=who, reason=attempt.stderr.strip()))
