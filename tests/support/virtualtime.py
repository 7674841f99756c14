"""An event loop whose clock jumps to the next timer: hours of time-outs in milliseconds, the same each time.

For code whose only outside is time. It must do no real I/O: nothing would wait for it.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TURN_S = 1e-6


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting it moves the clock on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock by what should have been waited."""
        if timeout is None:
            raise RuntimeError("every task waits for something that no timer will bring")
        # Each turn of the loop takes a moment, as in life: loops that wait for a time to pass come to an end.
        self.now += max(timeout, 0.0) + TURN_S
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Give the virtual seconds."""
        return self._jumping.now


def run_virtually(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())
