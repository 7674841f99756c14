"""The command `python -m cluster.binary`: build the binary if it is not there yet, and print its path.

A machine that prepares itself, an image or a CI runner say, calls this once. What it does is in `cluster/build.py`.
"""

import sys

from cluster.build import kube_binary
from cluster.errors import BuildError

__all__ = ["kube_binary"]


def main() -> None:
    """Print the binary's path, or exit with what kept it from being built."""
    try:
        sys.stdout.write(f"{kube_binary()}\n")
    except BuildError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells have it


if __name__ == "__main__":
    main()
