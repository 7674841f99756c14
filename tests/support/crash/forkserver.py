"""The process that agents are forked from: it has imported everything, so an agent starts in milliseconds, not in a second.

Speaks lines of JSON: an order comes in, the new agent's pid goes out. It opens nothing, starts no thread and calls no driver
itself, so that each fork is as fresh as a process of its own. When its input ends it kills what still lives, and ends.
"""

import argparse
import gc
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from nodeagent import main as nodeagent
from tests.support.crash.steps import Plan, counted


def main() -> None:
    """Serve orders until there are none."""
    living: set[int] = set()
    gc.freeze()
    for line in sys.stdin.buffer:
        living = {pid for pid in living if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_agent(order))
        living.add(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _agent(order: dict[str, Any]) -> int:
    """Be an agent."""
    nothing = os.open(os.devnull, os.O_RDWR)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for source, target in ((nothing, 0), (nothing, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.update(order["environment"])
    parser = argparse.ArgumentParser()
    nodeagent.add_arguments(parser)
    plan = Plan(trace=Path(order["trace"]), arming=Path(order["arming"]))
    return nodeagent.run(parser.parse_args(order["arguments"]), counted(plan))


if __name__ == "__main__":
    main()
