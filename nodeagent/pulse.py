"""A counter that tasks can wait on: how the loops of the agent tell each other that something changed.

Whoever waits names the last count that it has dealt with, so no change is ever missed between two waits, and many changes wake a
waiter once. It carries no value: the reader looks at the current state. For one event loop; not for threads.
"""

import asyncio


class Pulse:
    """Grows by one at each `fire`."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def fire(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    async def beyond(self, count: int) -> None:
        """Return once the counter is higher than `count`; at once where it is already."""
        while self.count <= count:
            await self._next.wait()

    async def beyond_or_after(self, count: int, seconds: float) -> None:
        """Return once the counter is higher than `count`, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.beyond(count)
        except TimeoutError:
            return
