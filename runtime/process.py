"""Runs the main coroutine of a process and turns its end into an exit code.

0: it ended, or a signal asked it to. 2: something that only the user can put right, said in one line. 1: anything
else, with its traceback in the log; the kubelet (or the demo) starts the process again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.signals import stop_on_signals

log = logging.getLogger(__name__)


def run(
    main: Callable[[], Coroutine[Any, Any, None]],
    *,
    user_errors: tuple[type[Exception], ...] = (),
    leave: Callable[[], bool] = lambda: False,
) -> int:
    """Run ``main()`` until it ends or SIGTERM or SIGINT cancels it; give the exit code.

    ``leave`` is called at the first signal; where it says True, ``main`` ends by itself, in its own time, and is not cancelled.
    """
    return asyncio.run(_supervise(main, user_errors, leave))


async def _supervise(
    main: Callable[[], Coroutine[Any, Any, None]], user_errors: tuple[type[Exception], ...], leave: Callable[[], bool]
) -> int:
    task = asyncio.create_task(main(), name="main")
    with stop_on_signals(lambda: leave() or task.cancel()) as signals:
        await asyncio.wait({task})
    if task.cancelled():
        if not signals:
            log.critical("the process was cancelled by itself, not by a signal")
        return 0 if signals else 1
    error = task.exception()
    if error is None:
        return 0
    found = _user_error(error, user_errors)
    if found is not None:
        log.error("%s", found)
        return 2
    log.critical("the process failed", exc_info=error)
    return 1


def _user_error(error: BaseException, user_errors: tuple[type[Exception], ...]) -> BaseException | None:
    """Find the user's error, also alone inside the group that a TaskGroup raised."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, user_errors) else None
