"""Takes foreign slices of one GPU over that the admin told us to, used ones included.

Written down first, like a slice that we make; then it is asked who uses it, and only then is it offered. One that the spec does
not list yet is kept until the allocator has taken it into the spec, or wants its room: taking over destroys nothing by
itself. On a node that is not handed over nothing is taken over, and nothing kept.
"""

import logging
from collections.abc import Awaitable, Callable

from mig.occupancy import Placed
from nodeagent.gpus.adoption import to_adopt
from nodeagent.gpus.hardware import Hardware
from nodeagent.state import NodeState

log = logging.getLogger(__name__)


class Takeover:
    """The adoptions on one GPU. `look` judges usage anew, and says whether everything answered."""

    def __init__(self, *, hardware: Hardware, state: NodeState, look: Callable[[], Awaitable[bool]]) -> None:
        self._hardware = hardware
        self._record = hardware.record
        self._state = state
        self._look = look

    async def advance(self) -> bool:
        """Take over what is asked for now; whether something became ours that can be offered."""
        record, state = self._record, self._state
        self._forget_settled()
        if not state.handed_over or state.farewell is not None:
            return False
        record.adopted |= self._interrupted()
        fresh = to_adopt(state.adoption, record.instances, record.owned, self._wanted())
        if fresh:
            await self._hardware.adopt(fresh)
            record.adopted |= {item.placed for item in fresh}
            record.unjudged |= {item.uuid for item in fresh if item.uuid}
            for item in fresh:
                place = {"gpu": item.gpu, "profile": str(item.placed.profile), "start": item.placed.window.start}
                log.info("adopted", extra={**place, "uuid": item.uuid})
            state.changed.fire()
        if not record.unjudged or not await self._look():
            return False
        record.unjudged = frozenset()
        state.changed.fire()
        return True

    def _interrupted(self) -> frozenset[Placed]:
        """What an agent took over that was killed before it could say so: the last report calls it foreign still."""
        state, record = self._state, self._record
        status = state.migspec.status if state.migspec else None
        reported = status.gpu(record.gpu.uuid) if status and record.gpu else None
        foreign = {item.uuid for item in reported.slices if not item.owned} if reported else set[str]()
        wanted = self._wanted()
        return frozenset(
            item.placed
            for item in record.ours()
            if item.uuid in foreign and item.placed not in wanted and state.adoption.asks_for(item)
        )

    def _wanted(self) -> frozenset[Placed]:
        """The places in which the spec wants slices on this GPU."""
        gpu = self._record.gpu
        return frozenset((self._state.wanted(gpu.uuid) if gpu else None) or ())

    def _forget_settled(self) -> None:
        """Keep no longer what the spec lists, what is gone, and what a node that is taken back holds."""
        record, state = self._record, self._state
        record.adopted &= {item.placed for item in record.ours()} if state.handed_over else frozenset()
        record.adopted -= self._wanted()
        record.unjudged &= record.devices()
