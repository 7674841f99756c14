"""What the kubelet would allocate of ours, kept at hand: a cache of `GetAllocatableResources`.

A slice may be promised only once the kubelet offers it, and the kubelet does not say when it does; so the answer is read in quick
succession after each change of our lists until it agrees, and now and then after that. Where it does not come to agree, the stream
is not the one that the kubelet listens to, and the resource is registered anew, unless another plugin is why. It promises that an
id is in `listed` only if the kubelet said so while it held our stream.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nodeagent.kubelet.podresources import KubeletBusy, KubeletError
from nodeagent.pulse import Pulse

log = logging.getLogger(__name__)

POLL_S = (0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""Pauses until the kubelet has taken in a list: 2 to 10 ms as a rule. It allows ten calls at once before it limits them."""

RESYNC_S = 10.0

UNLISTED_S = 5.0
FOREIGN_S = 1.0
"""How long a disagreement must last to count: a list that the kubelet has not taken in yet looks the same for milliseconds."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the kubelet should say, for each resource whose stream it holds."""

    healthy: Mapping[str, frozenset[str]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    """Every id in the book, withdrawn ones too."""


class Lasting:
    """Which of some names have been there without a break, and since when."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def update(self, names: frozenset[str]) -> None:
        """State which are there now."""
        now = self._clock()
        self._since = {name: self._since.get(name, now) for name in names}

    def for_at_least(self, seconds: float) -> frozenset[str]:
        """Those that have been there so long."""
        now = self._clock()
        return frozenset(name for name, since in self._since.items() if now - since >= seconds)


class Listing:
    """The cache. `read` asks the kubelet; `poke` it when a list or a stream changed; `renew` is to register a resource anew."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Mapping[str, frozenset[str]]]],
        *,
        expected: Callable[[], Expected],
        renew: Callable[[str], None],
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.listed: Mapping[str, frozenset[str]] = {}
        self.trouble: str | None = None
        self.answered = False
        self.offered_by_anybody: frozenset[str] = frozenset()
        self._allocatable = read
        self._expected = expected
        self._renew = renew
        self._on_change = on_change
        self._poke = Pulse()
        self._unlisted = Lasting(clock=clock)
        self._foreign = Lasting(clock=clock)

    @property
    def foreign(self) -> frozenset[str]:
        """Our resources under which the kubelet lists ids that are not ours."""
        return self._foreign.for_at_least(FOREIGN_S)

    def poke(self) -> None:
        """Look again now."""
        self._poke.fire()

    async def run(self) -> None:
        """Keep `listed` true. Eternal."""
        attempt, seen = 0, -1
        while True:
            if self._poke.count > seen:
                attempt = 0
            seen = self._poke.count
            await self._read()
            pause = RESYNC_S if self._settled() else POLL_S[min(attempt, len(POLL_S) - 1)]
            attempt += 1
            await self._poke.beyond_or_after(seen, pause)

    def _settled(self) -> bool:
        return self.answered and dict(self.listed) == dict(self._expected().healthy)

    async def _read(self) -> None:
        before = (self.listed, self.answered, self.foreign)
        try:
            answer = await self._allocatable()
        except KubeletBusy:
            return
        except KubeletError as error:
            self._away(error)
        else:
            self._take(answer)
        if before != (self.listed, self.answered, self.foreign):
            self._on_change()

    def _away(self, error: KubeletError) -> None:
        if self.trouble is None:
            log.warning("%s", error)
        self.trouble = f"{error}; is the kubelet running, and is its pod-resources folder mounted here?"
        self.answered = False
        self.listed = {}

    def _take(self, answer: Mapping[str, frozenset[str]]) -> None:
        expected = self._expected()
        self.trouble = None
        self.answered = True
        self.offered_by_anybody = frozenset(name for name, ids in answer.items() if ids)
        self.listed = {name: answer.get(name, frozenset()) for name in expected.healthy}
        # Whose stream the kubelet does not hold, as after its restart, is not known to be ours alone again.
        unheard = self._foreign.for_at_least(0) - self.listed.keys()
        self._foreign.update(unheard | {name for name, ids in self.listed.items() if ids - expected.known})
        self._unlisted.update(frozenset(name for name, ids in expected.healthy.items() if ids - self.listed[name]))
        for resource in self._unlisted.for_at_least(UNLISTED_S) - self.foreign:
            log.warning(
                "the kubelet holds our stream for %s but does not list its devices; registering again", resource
            )
            self._unlisted.update(frozenset())
            self._renew(resource)
