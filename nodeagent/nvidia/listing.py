"""What the kubelet would allocate of NVIDIA's device plugin, kept at hand: a cache of `GetAllocatableResources`.

The kubelet does not say when a plugin registers or dies, so it is asked: often while somebody waits for a change, at each hint
(the plugin's Pod changed, the Node's counts changed), else seldom. It promises that an id is in `listed` only if the kubelet's last
answer named it, and that a kubelet that is away lists nothing. It judges nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from nodeagent.kubelet.podresources import KubeletBusy, KubeletError
from nodeagent.nvidia.entries import Entry, entries
from nodeagent.pulse import Pulse

log = logging.getLogger(__name__)

AWAITED_S: Final = 0.1
"""Between two questions while a change is awaited: small beside the seconds that a plugin takes to start."""

RESYNC_S: Final = 5.0
"""Between two questions else. How late the death of a plugin is noticed that no watch tells of."""


class Enumerated:
    """The cache. `awaited` says whether somebody waits for a change; `on_change` is called when the answer is another one."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Mapping[str, frozenset[str]]]],
        *,
        awaited: Callable[[], bool],
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.listed: Mapping[str, frozenset[str]] = {}
        self.answered = False
        self.asked = False
        """Whether there was any answer yet, if only that nobody is there."""
        self.trouble: str | None = None
        self.grew_at = float("-inf")
        """When entries were last listed that had not been, and none has vanished since: a plugin has enumerated."""
        self.ever: frozenset[Entry] = frozenset()
        """All that were listed since `forget`: one of them that is missing was taken back by the plugin, or by the kubelet."""
        self._read = read
        self._awaited = awaited
        self._clock = clock
        self._on_change = on_change
        self._poke = Pulse()

    def poke(self) -> None:
        """Ask now."""
        self._poke.fire()

    def forget(self) -> None:
        """Another plugin process enumerates from now on."""
        self.ever = frozenset()
        self.poke()

    async def run(self) -> None:
        """Keep `listed` true. Eternal."""
        while True:
            seen = self._poke.count
            await self.refresh()
            await self._poke.beyond_or_after(seen, AWAITED_S if self._awaited() else RESYNC_S)

    async def refresh(self) -> None:
        """Ask, and return once `listed` is as the kubelet says now."""
        before = (self.listed, self.answered, self.asked)
        await self._ask()
        if before != (self.listed, self.answered, self.asked):
            self._on_change()

    async def _ask(self) -> None:
        try:
            answer = await self._read()
        except KubeletBusy:
            return
        except KubeletError as error:
            if self.trouble is None:
                log.warning("%s", error)
            self.trouble = f"{error}; is the kubelet running, and is its pod-resources folder mounted here?"
            self.answered, self.listed = False, {}
        else:
            self.trouble = None
            before, now = entries(self.listed), entries(answer)
            if before - now:
                self.grew_at = float("-inf")
            if now - before:
                self.grew_at = self._clock()
            self.answered, self.listed = True, dict(answer)
            self.ever |= now
        self.asked = True
