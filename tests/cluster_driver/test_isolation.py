"""Where the kernel refuses the namespaces of a node, the user hears what to do."""

import subprocess
import sys

import pytest

from cluster import check_isolation

CHECK = "from cluster import check_isolation; check_isolation()"
FORBID = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin "$@"'


def test_this_machine_allows_nodes() -> None:
    check_isolation()


def test_a_machine_that_forbids_namespaces_is_told_what_to_allow() -> None:
    """Inside a user namespace whose root may make no further one, and who lost the right to mount."""
    probe = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", FORBID, "sh", "true"], check=False, capture_output=True
    )
    if probe.returncode != 0:
        pytest.skip("no user namespaces here to forbid anything in")

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", FORBID, "sh", sys.executable, "-c", CHECK],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "IsolationError: This machine does not let root make the namespaces" in done.stderr
    assert "sysctl -w user.max_user_namespaces" in done.stderr
    assert "SYS_ADMIN" in done.stderr
