"""What can go wrong with a cluster, named by what the caller can do about it.

Every message says what failed, where to look, and what to do instead. None of these is worth a blind retry.
"""

from pathlib import Path

TAIL_LINES = 15
"""How much of a log a message quotes: enough for the cause, short enough to read."""


class ClusterError(Exception):
    """The cluster cannot do what was asked."""


class BuildError(ClusterError):
    """The binary could not be built or is not usable: mend the machine or name a ready one."""


class IsolationError(ClusterError):
    """This machine forbids the namespaces that a node needs: an administrator has to allow them."""


class StartError(ClusterError):
    """A component did not come up: its log, quoted in the message, says why."""


class CommandError(ClusterError):
    """A kubectl, helm or API call was answered with an error: the caller asked for something impossible."""

    def __init__(self, message: str, *, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr


def tail(log: Path) -> str:
    """Quote the last lines of a log, with its path."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join([f"The last lines of {log}:", *(f"  {line}" for line in lines[-TAIL_LINES:])])
