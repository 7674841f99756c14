"""For how long the Node has shown the counts as they should be, without a break.

Why: whoever relies on a lower count has to give a scheduler that decided on the old one the time to send its binding, and our watch
the time to bring it; and the kubelet's own report can put the old count back for a moment. It promises to note each break that it
is told of, and to say when the time is over. It writes nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from nodeagent.kubelet.counts import CountPublisher, Counts

SHOWN_FOR_S: Final = 1.0
"""A decision reaches us within 50 ms on an idle control plane; and it is small beside the seconds that a plugin takes to start."""


class Shown:
    """The stopwatch. Tell it by `judge` whenever the counts that are wanted, or those that are shown, may have changed."""

    def __init__(
        self,
        counts: CountPublisher,
        *,
        wanted: Callable[[], Counts],
        clock: Callable[[], float],
        on_settled: Callable[[], None],
    ) -> None:
        self._counts = counts
        self._wanted = wanted
        self._clock = clock
        self._on_settled = on_settled
        self._broken_at = clock()
        self._whole = False

    def judge(self) -> bool:
        """Whether all are shown now; the time of a break is noted."""
        wanted = self._wanted().allocatable
        whole = bool(wanted) and all(self._counts.published(resource) for resource in wanted)
        if not whole:
            self._broken_at = self._clock()
        elif not self._whole:
            asyncio.get_running_loop().call_later(SHOWN_FOR_S, self._on_settled)
        self._whole = whole
        return whole

    def settled(self) -> bool:
        """Whether all have been shown for long enough."""
        return self.judge() and self._clock() - self._broken_at >= SHOWN_FOR_S
