"""One thread a GPU for calls that block, with deadlines, so that a driver that hangs never stops the event loop.

A call that passes its deadline is not ended (nothing can end a C call); it is left alone, and until it returns no second
call is made on that GPU: `DriverSilent` says so at once. What the late call did is unknown: `on_return` tells its owner to
read the hardware again. Threads are daemons, so a driver that never answers cannot keep the process from ending.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from nodeagent.gpus.driver import DriverBusy, DriverSilent

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """Runs functions on one thread, one at a time, in order."""

    def __init__(
        self,
        name: str,
        *,
        on_return: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._on_return = on_return
        self._clock = clock
        self._turn = asyncio.Lock()
        self._began: float | None = None
        self._abandoned = False
        self._queue: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    @property
    def running_s(self) -> float:
        """For how long the call that runs now has been running; 0 when none runs."""
        began = self._began
        return 0.0 if began is None else self._clock() - began

    @property
    def silent(self) -> bool:
        """Whether a call was abandoned and has still not returned."""
        return self._abandoned and self._began is not None

    async def call(self, function: Callable[[], T], *, deadline_s: float, turn_s: float | None = None) -> T:
        """Run it and give its result or raise what it raises; `DriverSilent` after `deadline_s` or while one hangs.

        Whoever cannot wait for the calls of others gives `turn_s`, and gets `DriverBusy` after that.
        """
        async with self._turn_within(turn_s):
            if self._began is not None:
                raise DriverSilent(f"{self._name}: a call to the driver has not returned for {self.running_s:.0f} s")
            done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._start(function, done)
            try:
                async with asyncio.timeout(deadline_s):
                    return await asyncio.shield(done)
            except TimeoutError as error:
                raise DriverSilent(f"{self._name}: the driver did not answer within {deadline_s:g} s") from error
            finally:
                self._abandoned = not done.done()

    @asynccontextmanager
    async def _turn_within(self, turn_s: float | None) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(turn_s):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DriverBusy(f"{self._name}: busy for {self.running_s:.1f} s") from error
        try:
            yield
        finally:
            self._turn.release()

    def stop(self) -> None:
        """Let the thread end after the call that it runs."""
        self._queue.put(None)

    def _start(self, function: Callable[[], Any], done: asyncio.Future[Any]) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._began = self._clock()
        self._queue.put((function, done))

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            function, done = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001 - it is raised again where the result is awaited
                error = raised
            try:
                done.get_loop().call_soon_threadsafe(self._finish, done, result, error)
            except RuntimeError:
                return  # the loop is closed: the process ends

    def _finish(self, done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        took_s = self.running_s
        self._began = None
        if self._abandoned:
            self._abandoned = False
            log.warning("%s: a call that was given up returned after %.1f s: %s", self._name, took_s, error or "done")
            done.cancel()
            self._on_return()
        elif error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)
