"""Clusters side by side never choose the same port."""

import socket
import subprocess
import sys

from cluster.ports import lease_port

LEASE_AND_WAIT = "from cluster.ports import lease_port; a = lease_port(); print(a.port, flush=True); input()"


def test_two_leases_are_of_different_ports() -> None:
    first, second = lease_port(), lease_port()

    assert first.port != second.port

    first.release()
    second.release()


def test_a_released_port_is_chosen_again() -> None:
    first = lease_port()
    first.release()
    second = lease_port()

    assert second.port == first.port

    second.release()


def test_a_port_that_somebody_listens_on_is_not_chosen() -> None:
    first = lease_port()
    first.release()
    with socket.create_server(("127.0.0.1", first.port)):
        second = lease_port()

    assert second.port != first.port

    second.release()


def test_a_port_leased_by_another_process_is_not_chosen_until_that_dies() -> None:
    """Nobody listens on it meanwhile: the lease alone keeps others away."""
    import fcntl
    import os
    import tempfile
    from pathlib import Path

    with subprocess.Popen(
        [sys.executable, "-c", LEASE_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        lock = Path(tempfile.gettempdir()) / f"nos-mig-ports-{os.geteuid()}" / str(port)
        with lock.open("w") as mine:
            try:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = False
            except BlockingIOError:
                held = True
            other.kill()
            other.wait()
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)

    assert held
