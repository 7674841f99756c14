"""A candidate for leadership on virtual time, with a wire that a test can cut and a log of what its work did."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kube.errors import Unavailable
from kube.lease import LeaseElection
from tests.support.leases import Wire
from tests.support.objectstore import ObjectStore
from tests.support.virtualtime import run_virtually


@dataclass
class Candidate:
    """An election with its wire and a log of (virtual seconds since it was made, what the work did)."""

    store: ObjectStore
    name: str
    floor: int | None = 0
    stopping_s: float = 0.0
    note: dict[str, str] = field(default_factory=dict)
    wall: Callable[[], datetime] = lambda: datetime.fromtimestamp(1.7e9 + asyncio.get_running_loop().time(), UTC)
    log: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self.wire = Wire(self.store)
        self.election = LeaseElection(
            self.wire,
            namespace="ns",
            name="lease",
            identity=self.name,
            floor_epoch=self.floor_epoch,
            annotations=lambda: self.note,
            clock=loop.time,
            wall=self.wall,
            jitter=lambda: 0.0,
            abort=lambda: self.say("aborted"),
        )
        self.leading = asyncio.create_task(self.election.lead(self.work))

    async def floor_epoch(self) -> int:
        """Give what the test set."""
        if self.floor is None:
            raise Unavailable("LIST", message="away")
        return self.floor

    def say(self, what: str) -> None:
        """Log something."""
        self.log.append((round(asyncio.get_running_loop().time() - self._began), what))

    async def work(self, epoch: int) -> None:
        """Work until stopped."""
        self.say(f"leads {epoch}")
        try:
            await asyncio.sleep(1e9)
        finally:
            if self.stopping_s:
                await asyncio.sleep(self.stopping_s)
            self.say("stopped")

    async def end(self) -> BaseException | None:
        """Wait for the end of `lead` and give its error."""
        await asyncio.wait({self.leading})
        return asyncio.CancelledError() if self.leading.cancelled() else self.leading.exception()


def virtually(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test on virtual time."""

    def run() -> None:
        async def body() -> None:
            await test()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        run_virtually(body)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
