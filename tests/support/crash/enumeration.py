"""Kill the agent at every step of a change, a fresh node for each kill, and see what the next agent makes of it.

A first run without a kill gives the steps. Each later run's own steps are added to what is to be killed at, so nothing that any
run did is left out; a step that a run does not come to (a report that went together with another one) is tried again.
How many steps there were is logged: `--log-cli-level=info` shows it.
"""

import asyncio
import logging
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from tests.support.crash.agents import AgentProcess
from tests.support.crash.goal import Goal, changes_made, existing, missing, name_of, needed_changes
from tests.support.crash.ground import Ground, Held, Wanted
from tests.support.crash.steps import CHANGING
from tests.support.instances import placed

log = logging.getLogger(__name__)

AT_ONCE = 3
"""Runs side by side: an agent waits about as long as it works."""
TRIES = 2
QUIET_S = 0.2
"""Who has done nothing for so long after the work was done does nothing more because of it."""


@dataclass(frozen=True)
class Change:
    """From one spec to another. `held` is a (GPU, place) of `before` that a Pod has meanwhile.

    `then` is wanted instead of `after` from the kill on. With `start_after` another agent than the killed one began the change
    and was killed at that step, so that the steps are those of a start that finds work half done. Slices go to containers
    `by_name` of a CDI device, or else by a variable.

    `foreign` slices of GPU 0 are there from the first, and adopted with the change; a process computes on the `busy` ones.
    With `mig_off` the GPUs are without MIG at first, and the agent may turn it on once the node is handed over, with the change.
    """

    before: Wanted
    after: Wanted
    held: tuple[int, str] | None = None
    then: Wanted | None = None
    writable: bool = True
    start_after: str = ""
    by_name: bool = False
    foreign: tuple[str, ...] = ()
    busy: frozenset[str] = frozenset()
    mig_off: bool = False


ELASTIC = ("PATCH", "RunningProcesses")
"""Reports, counts and looks at who computes: how many there are depends on what comes together, so a later one may not come."""

NEWS = "POST events"
"""Told in its own time of what happened before, too, so it may come at all in one run and not in another. Nothing depends on it."""


@dataclass
class Found:
    """What the enumeration covered: `recorded` without a kill, `killed_at` in fact, `missed` at each try."""

    recorded: tuple[str, ...] = ()
    killed_at: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)

    @property
    def left_out(self) -> set[str]:
        """What was not killed at, but for news and repetitions of something that was: elastic ones, and in later runs any reads.

        A later run alone may read the hardware once more than the recorded one did; to change something once more it may not.
        """
        names = {name_of(step) for step in self.killed_at}
        missed = {step for step in self.recorded if step not in self.killed_at and NEWS not in step}
        alone = {
            step
            for step in _firm(self.missed - self.killed_at - missed)
            if _changes(step) or name_of(step) not in names
        }
        return {step for step in missed if step in _firm(missed) or name_of(step) not in names} | alone

    def assert_all(self, *, at_least: int) -> None:
        """Nothing is left out, and at least so many firm steps were recorded: a run that saw fewer has not done the work."""
        assert not self.left_out, f"left out {sorted(self.left_out)}; {self}"
        assert len(_firm(self.recorded)) >= at_least, f"{self}\n{self.recorded}"

    def __str__(self) -> str:
        return (
            f"{len(self.recorded)} steps recorded ({len(_firm(self.recorded))} firm), killed at {len(self.killed_at)}, "
            f"not come to: {sorted(self.missed)}"
        )


def _firm(steps: Iterable[str]) -> list[str]:
    """Those that each run must come to, since they depend on nothing that comes together by chance."""
    return [step for step in steps if not any(word in step for word in (*ELASTIC, NEWS))]


def _changes(step: str) -> bool:
    """Whether the world is another one after it."""
    return any(word in step for word in (*CHANGING, "rename"))


class Agenda:
    """The steps that are still to be killed at, and how that went so far."""

    def __init__(self) -> None:
        self.found = Found()
        self._todo: deque[str] = deque()
        self._known: set[str] = set()
        self._tries: Counter[str] = Counter()

    def record(self, steps: list[str]) -> None:
        """Begin with a run in which nobody was killed."""
        self.found.recorded = tuple(steps)
        self._learn(steps)

    @property
    def left(self) -> int:
        """How many steps are still to be killed at."""
        return len(self._todo)

    def next(self) -> str:
        """The next step to kill at; empty when none is left."""
        return self._todo.popleft() if self._todo else ""

    def tried(self, step: str, steps: list[str]) -> None:
        """A run that was to die at `step` took these."""
        self._learn(steps)
        self._tries[step] += 1
        if steps[-1:] == [step]:
            self.found.killed_at.add(step)
        elif self._tries[step] < TRIES:
            self._todo.append(step)
        else:
            self.found.missed.add(step)

    def _learn(self, steps: list[str]) -> None:
        fresh = [step for step in dict.fromkeys(steps) if step not in self._known]
        self._known.update(fresh)
        self._todo.extend(fresh)


Make = Callable[[], AbstractAsyncContextManager[Ground]]
"""Gives a fresh node."""

MakeNodes = Callable[..., Make]
"""Gives a maker of nodes with these GPUs: `nodes_of("a100-80gb", "h100-80gb")`."""


async def kill_at_every_step(change: Change, make: Make) -> Found:
    """Do it all; raises AssertionError for a node that was not put right."""
    agenda = Agenda()
    agenda.record(await _run(replace(change, then=None), make, ""))

    async def work() -> None:
        while step := agenda.next():
            agenda.tried(step, await _run(change, make, step))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())
    log.info("%s", agenda.found)
    return agenda.found


async def _run(change: Change, make: Make, die_at: str) -> list[str]:
    """One node's life, the agent killed at that step if it comes to it, and all checks; the steps up to there."""
    async with make() as ground:
        try:
            return await _live(change, ground, die_at)
        except AssertionError as error:
            raise AssertionError(f"killed at {die_at!r}: {error}") from error


async def _live(change: Change, ground: Ground, die_at: str) -> list[str]:
    _prepare(change, ground)
    await ground.want(change.before)
    agent = ground.start()
    held = await _settle(change, ground, agent)
    goal = Goal(change.after, held, ledger=change.writable, busy=change.busy)
    agent.arm(change.start_after or die_at)
    if change.foreign or change.mig_off:
        await ground.hand_over(adopt="all" if change.foreign else "")
    await ground.want(change.after)
    if change.start_after:
        await agent.ended()
        agent = ground.start()
        agent.arm(die_at)
    if await died(ground, agent, goal, die_at):
        goal = replace(goal, wanted=goal.wanted if change.then is None else change.then)
        await ground.want(goal.wanted)
        await recover(ground, goal)
    return agent.steps()


def _prepare(change: Change, ground: Ground) -> None:
    """Put the node into the state from which the first agent starts."""
    if not change.writable:
        ground.state_dir.write_text("a file where the folder should be")
    if change.by_name:
        ground.hand_over_by_name()
    for place in change.foreign:
        at = placed(place)
        ground.sim.create_foreign(0, str(at.profile), at.window.start)
    for place, uuid in existing(ground, 0).whole.items():
        if place in change.busy:
            ground.sim.hold(uuid, os.getpid())
    if change.mig_off:
        ground.options = [*ground.options, "--enable-mig-mode"]
        for gpu in ground.sim.gpus:
            ground.sim.set_mig_mode(gpu.index, False)
            ground.sim.reset(gpu.index)


async def _settle(change: Change, ground: Ground, agent: AgentProcess) -> Held | None:
    """Bring about `before`, with its Pod."""
    goal = Goal(change.before, ledger=change.writable)
    await ground.until(lambda: missing(ground, goal), what="the slices from before", by=agent)
    if change.held is None:
        return None
    held = await ground.hold(*change.held)
    await ground.until(lambda: missing(ground, replace(goal, held=held)), what="a Pod's use of one", by=agent)
    return held


async def died(ground: Ground, agent: AgentProcess, goal: Goal, die_at: str) -> bool:
    """Wait until the agent was killed, or has nothing left to do; whether it was killed. Any other end of it is a failure."""
    done = asyncio.create_task(_idle(ground, agent, lambda: missing(ground, goal, agent)))
    ended = asyncio.create_task(agent.ended())
    try:
        await asyncio.wait({done, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await done
            return False
    finally:
        for task in (done, ended):
            task.cancel()
        await asyncio.gather(done, ended, return_exceptions=True)
    assert agent.steps()[-1:] == [die_at], f"it ended by itself\n{ground.story()}"
    return True


async def _idle(ground: Ground, agent: AgentProcess, lacking: Callable[[], Awaitable[str]]) -> None:
    """Return when the change is done, whatever was begun has ended, and nothing more comes of it."""
    await ground.until(lacking, what="the change")
    before: list[str] = []
    while (now := agent.steps()) != before or _half(now):
        before = now
        await asyncio.sleep(QUIET_S)


def _half(steps: list[str]) -> bool:
    """Whether something was begun whose end is a step, too, and has not come."""
    ended = {step.removeprefix("after ") for step in steps if step.startswith("after ")}
    begun = {step.removeprefix("before ") for step in steps if step.startswith("before ")}
    with_ends = {name_of(step) for step in ended}
    return any(name_of(step) in with_ends for step in begun - ended)


async def recover(ground: Ground, goal: Goal) -> AgentProcess:
    """Let the next agent finish, and check what it did and what it gives away."""
    needed = needed_changes(ground, goal)
    ground.sim.reset_calls()
    agent = ground.start()
    await ground.until(lambda: missing(ground, goal, agent, settled=False), what="the next agent's work", by=agent)
    made = changes_made(ground)
    assert made == needed, f"needed were {needed}, made were {made}\n{ground.story()}"
    if goal.held is not None:
        assert await ground.give_twice(goal.held) != goal.held.uuid, "a slice that a Pod has was given to another"
    return agent
