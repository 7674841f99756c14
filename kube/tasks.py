"""Two ways to end asyncio tasks in order: nothing is left running, and nothing that must be finished is left half done."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; an error on its way out is logged, for nobody else would see it."""
    ended_before = not task.cancel()
    await asyncio.wait({task})
    error = None if task.cancelled() else task.exception()
    if error is not None and not ended_before:
        log.error("%s failed while it was stopped", task.get_name(), exc_info=error)


async def to_its_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Await something that must not be left half done; being cancelled meanwhile takes effect afterwards."""
    task = asyncio.create_task(coroutine, name="winding down")
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted
    task.result()
