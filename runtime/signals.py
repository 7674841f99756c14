"""SIGTERM and SIGINT end a process in order; a second one ends it at once.

The first signal cancels the main task, whose clean-up (release the lease, drain requests) then runs. The second says
that somebody lost patience.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stop_on_signals(
    stop: Callable[[], object], *, die: Callable[[int], None] = os._exit
) -> Iterator[list[signal.Signals]]:
    """Call ``stop`` at the first signal and ``die`` with 128 + its number at the second, while the block runs.

    Gives the list of the signals received so far.
    """
    loop = asyncio.get_running_loop()
    seen: list[signal.Signals] = []

    def received(number: signal.Signals) -> None:
        seen.append(number)
        if len(seen) > 1:
            log.warning("%s again: leaving at once", number.name)
            die(128 + number)
        else:
            log.info("%s: stopping", number.name)
            stop()

    for number in STOPPING:
        loop.add_signal_handler(number, received, number)
    try:
        yield seen
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)
