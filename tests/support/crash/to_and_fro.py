"""Kill agents one after the other on one node that goes to and fro between two specs.

Each agent finishes the last one's work, and dies in its own. For a node that is too dear to be made anew for each kill.
"""

import logging
from dataclasses import dataclass

from tests.support.crash.agents import AgentProcess
from tests.support.crash.enumeration import Agenda, Found, died, recover
from tests.support.crash.goal import Goal, missing
from tests.support.crash.ground import Ground

log = logging.getLogger(__name__)


@dataclass
class Side:
    """One of the two specs, and the steps on the way to it."""

    goal: Goal
    agenda: Agenda


async def kill_to_and_fro(ground: Ground, agent: AgentProcess, *, there: Goal, back: Goal) -> tuple[Found, Found]:
    """From `back`, where the node is with this agent, to `there` and so on; raises AssertionError where it was not put right."""
    sides = (Side(there, Agenda()), Side(back, Agenda()))
    for side in sides:
        agent, steps = await _move(ground, agent, side.goal, "")
        side.agenda.record(steps)
    while sides[0].agenda.left or sides[1].agenda.left:
        for side in sides:
            step = side.agenda.next()
            agent, steps = await _move(ground, agent, side.goal, step)
            if step:
                side.agenda.tried(step, steps)
    found = sides[0].agenda.found, sides[1].agenda.found
    log.info("there: %s; back: %s", *found)
    return found


async def _move(ground: Ground, agent: AgentProcess, goal: Goal, die_at: str) -> tuple[AgentProcess, list[str]]:
    """Go to the goal, the agent killed on its way or, at the latest, there; the next agent, and the steps of this one."""
    agent.arm(die_at)
    await ground.want(goal.wanted)
    try:
        if await died(ground, agent, goal, die_at):
            return await recover(ground, goal), agent.steps()
    except AssertionError as error:
        raise AssertionError(f"killed at {die_at!r} on the way to {goal}: {error}") from error
    await agent.kill()
    after = ground.start()
    await ground.until(lambda: missing(ground, goal, after, settled=False), what="an agent's start", by=after)
    return after, agent.steps()
