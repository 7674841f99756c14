"""Carries out the rounds of `nvidia_plugin_round`: the one task that has NVIDIA's device plugin started anew.

It keeps the time of a round and counts starts that did not help; what is stale, whether the Node shows the counts and who lacks a
device are answered from outside. It promises a fresh look at what the kubelet lists, and at who has what, right before each start.
"""

import logging
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Final

from kube.errors import ApiError
from nodeagent.nvidia.listing import Enumerated
from nodeagent.nvidia.node import NodeView
from nodeagent.nvidia.pods import PluginPods, refusal
from nodeagent.nvidia.round import FIRST_PAUSE_S, PATIENCE_S, Facts, Phase, Plugin, Step, next_step, pause_s
from nodeagent.pulse import Pulse

log = logging.getLogger(__name__)

STATUS_LAG_S: Final = 2.0
"""A plugin may have registered so long before its Pod's status says that it runs: the kubelet writes a status once a second."""

REGISTERING_S: Final = 2.0
"""It registers one resource after the other, within this time."""

SOON_S: Final = 0.25
LATER_S: Final = 1.0
RESYNC_S: Final = 5.0
"""Between two looks at the facts, if nobody says that one changed: with the next step near, with it far, with nothing to do."""

AWAITED_FOR_S: Final = 60.0
"""For how long the kubelet is asked often whether the plugin is back."""


class Starter:
    """The task. `stale` and `goal` are of the present moment: a goal that changed makes a start worth while again, soon."""

    def __init__(
        self,
        *,
        stale: Callable[[], bool],
        goal: Callable[[], Hashable],
        counts_shown: Callable[[], bool],
        pods: PluginPods,
        listing: Enumerated,
        node: NodeView,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.trouble: str | None = None
        self._stale = stale
        self._goal_now = goal
        self._counts_shown = counts_shown
        self._pods = pods
        self._listing = listing
        self._node = node
        self._clock = clock
        self._on_change = on_change
        self._pulse = Pulse()
        self._phase = Phase.OPEN
        self._since = clock()
        self._goal: Hashable = None
        self._goal_since = clock()
        self._asked_for: Hashable = None
        self._failures = 0
        self._not_before = float("-inf")

    @property
    def closed(self) -> bool:
        """Whether only what Pods hold may count."""
        return self._phase is not Phase.OPEN

    @property
    def awaiting(self) -> bool:
        """Whether the kubelet may list something else at any moment."""
        now = self._clock()
        asked = self._phase is Phase.ASKED and now - self._since < AWAITED_FOR_S
        return asked or self._plugin(now) is Plugin.COMING

    def wake(self) -> None:
        """A fact may have changed."""
        self._pulse.fire()

    async def run(self) -> None:
        """Eternal."""
        while True:
            seen = self._pulse.count
            pause = await self._advance()
            await self._pulse.beyond_or_after(seen, pause)

    async def _advance(self) -> float:
        """Take the next step, if there is one; after how long to look again."""
        goal = self._goal_now()
        if goal != self._goal:
            self._aim(goal)
        facts = self._facts()
        if next_step(self._phase, replace(facts, pods_without_device=False)) is Step.ASK:
            await self._listing.refresh()
            answered = await self._node.look()
            facts = replace(self._facts(), pods_without_device=not answered or self._node.pods_without_device())
        match next_step(self._phase, facts):
            case Step.CLOSE:
                self._become(Phase.CLOSED)
            case Step.ASK:
                await self._ask()
            case Step.OPEN:
                self._open(facts)
            case Step.WAIT:
                return _pause(facts)
        return 0.0

    def _aim(self, goal: Hashable) -> None:
        """Starts that did not help tell nothing about another goal, but a right that is missing stays so whatever is wanted."""
        self._goal, self._goal_since = goal, self._clock()
        if self.trouble is None:
            self._failures = 0
            self._not_before = min(self._not_before, self._clock() + FIRST_PAUSE_S)

    def _facts(self) -> Facts:
        now = self._clock()
        return Facts(
            stale=self._stale(),
            plugin=self._plugin(now),
            changing=self._node.changing(),
            quiet_s=now - self._goal_since,
            backing_off=now < self._not_before,
            kubelet_answers=self._listing.answered,
            age_s=now - self._since,
            count_shown=self._counts_shown(),
        )

    def _plugin(self, now: float) -> Plugin:
        running_since = self._pods.running_since if self._pods.synced else None
        if running_since is None:
            return Plugin.AWAY
        grew_at = self._listing.grew_at
        if running_since < self._goal_since and grew_at < self._goal_since:
            return Plugin.THERE  # what it knows is older than the goal
        if now - grew_at < REGISTERING_S:
            return Plugin.COMING
        heard_of = grew_at >= running_since - STATUS_LAG_S
        return Plugin.THERE if heard_of or now - running_since >= PATIENCE_S else Plugin.COMING

    async def _ask(self) -> None:
        goal = self._goal
        try:
            await self._pods.start_anew()
        except ApiError as error:
            self.trouble = refusal(error)
            log.warning("%s", self.trouble)
            self._back_off()
            self._become(Phase.OPEN)
            return
        self.trouble = None
        self._asked_for = goal
        self._become(Phase.ASKED)

    def _open(self, facts: Facts) -> None:
        if not facts.stale:
            self._failures = 0
        elif self._phase is Phase.ASKED and self._asked_for == self._goal:
            log.warning("NVIDIA's device plugin was started anew, and the kubelet still does not list what is there")
            self._back_off()
        self._become(Phase.OPEN)

    def _back_off(self) -> None:
        self._failures += 1
        self._not_before = self._clock() + pause_s(self._failures)

    def _become(self, phase: Phase) -> None:
        self._phase, self._since = phase, self._clock()
        self._on_change()


def _pause(facts: Facts) -> float:
    """When to look again, if nobody says that a fact changed."""
    if not facts.stale:
        return RESYNC_S
    near = facts.plugin is Plugin.THERE and facts.kubelet_answers and not facts.backing_off
    return SOON_S if near else LATER_S
