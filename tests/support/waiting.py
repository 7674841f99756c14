"""Waiting for what must come true within seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], T], what: str = "", *, within_s: float = 20) -> T:
    """Ask again and again; give the first answer that is true."""

    async def asked() -> T:
        return condition()

    return await until_answered(asked, what, within_s=within_s)


async def until_answered(condition: Callable[[], Awaitable[T]], what: str = "", *, within_s: float = 20) -> T:
    """Likewise, of something that takes its time to answer."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if answer := await condition():
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")
