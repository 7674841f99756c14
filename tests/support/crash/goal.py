"""What must be true of a node when an agent has done its work, and what it may cost: said in words where it does not hold."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mig.migspec import Holder, SliceState, StatusSlice
from nodeagent.gpus.ledger import load
from tests.support.cdi_rules import violations
from tests.support.crash.agents import AgentProcess
from tests.support.crash.ground import Ground, Held, Wanted
from tests.support.instances import placed

REPORTED = "after PATCH migspecs status"
CHANGES = (
    "nvmlDeviceCreateGpuInstanceWithPlacement",
    "nvmlGpuInstanceCreateComputeInstance",
    "nvmlComputeInstanceDestroy",
    "nvmlGpuInstanceDestroy",
    "nvmlDeviceSetMigMode",
)


@dataclass(frozen=True)
class Goal:
    """The slices that are wanted, and one more that stays because a Pod has it. `ledger` is whether there can be a file.

    `busy` are places where a process computes that no Pod is known for.
    """

    wanted: Wanted
    held: Held | None = None
    ledger: bool = True
    busy: frozenset[str] = frozenset()

    def places(self, gpu: int) -> frozenset[str]:
        """What must be on a GPU."""
        held = {self.held.place} if self.held and self.held.gpu == gpu else set()
        return frozenset(self.wanted.get(gpu, ())) | held


@dataclass(frozen=True)
class Existing:
    """What is on a GPU: places of whole slices with their UUID, and of GIs without a CI."""

    whole: Mapping[str, str] = field(default_factory=dict)
    half: frozenset[str] = frozenset()


def existing(ground: Ground, gpu: int) -> Existing:
    """Read it from the simulated hardware itself."""
    found = ground.sim.gpus[gpu].instances
    for item in found:
        assert len(item.compute_instances) <= 1, f"GPU {gpu} has {item}"
    return Existing(
        {f"{i.profile}@{i.start}+{i.size}": i.compute_instances[0].uuid for i in found if i.compute_instances},
        frozenset(f"{i.profile}@{i.start}+{i.size}" for i in found if not i.compute_instances),
    )


def needed_changes(ground: Ground, goal: Goal) -> Counter[str]:
    """The least that leads from the present hardware to the goal, by NVML function."""
    make_gi, make_ci, end_ci, end_gi, turn_on = CHANGES
    needed: Counter[str] = Counter()
    for gpu in goal.wanted:
        here, there = existing(ground, gpu), goal.places(gpu)
        needed[turn_on] += not ground.sim.gpus[gpu].mig_mode
        needed[make_ci] += len(there - here.whole.keys())
        needed[make_gi] += len(there - here.whole.keys() - here.half)
        needed[end_ci] += len(here.whole.keys() - there)
        needed[end_gi] += len((here.whole.keys() | here.half) - there)
    return +needed


def changes_made(ground: Ground) -> Counter[str]:
    """What the driver was asked for since its counters were reset."""
    calls = ground.sim.calls()
    return +Counter({name: calls.get(name, 0) for name in CHANGES})


async def missing(ground: Ground, goal: Goal, agent: AgentProcess | None = None, *, settled: bool = True) -> str:
    """What is not as it must be, empty when all is. `settled` also asks for what comes seconds later: dropped ids, true zeros.

    An `agent` that has reported nothing itself has not done its work, whatever an earlier one left.
    """
    if agent is not None and REPORTED not in {name_of(step) for step in agent.steps() or agent.all_steps()}:
        return "no report of this agent"
    for gpu in goal.wanted:
        here = existing(ground, gpu)
        if here.half or here.whole.keys() != goal.places(gpu):
            return f"GPU {gpu} holds {here}, not {sorted(goal.places(gpu))}"
    return (
        await _reported(ground, goal)
        or (_ledger(ground, goal) if goal.ledger else "")
        or _described(ground, goal)
        or await _offered(ground, goal, settled=settled)
    )


async def _reported(ground: Ground, goal: Goal) -> str:
    migspec = await ground.migspec()
    status = migspec.status
    if status is None or status.observed_generation != migspec.generation:
        return f"no report on generation {migspec.generation}"
    blocked = goal.held is not None and goal.held.place not in goal.wanted[goal.held.gpu]
    converged = status.condition("Converged")
    if converged is None or (converged.status, converged.reason) != (
        ("False", "Blocked") if blocked else ("True", "Converged")
    ):
        return f"it says {converged}"
    for gpu in goal.wanted:
        found = status.gpu(ground.sim.gpus[gpu].uuid)
        whole = existing(ground, gpu).whole
        reported = {str_of(item): item for item in found.slices} if found else {}
        if reported.keys() != whole.keys():
            return f"GPU {gpu} is reported to hold {sorted(reported)}"
        for place, item in reported.items():
            if wrong := _wrong(item, whole[place], goal, gpu=gpu):
                return f"GPU {gpu}: {place} is {wrong}"
    return ""


def name_of(step: str) -> str:
    """A step's address without its number in the row."""
    return step.partition(" #")[0]


def str_of(item: StatusSlice) -> str:
    """A reported slice as `3g.40gb@4+4`."""
    return f"{item.profile}@{item.window.start}+{item.window.size}"


def _wrong(item: StatusSlice, uuid: str, goal: Goal, *, gpu: int) -> str:
    held = goal.held if goal.held and goal.held.gpu == gpu else None
    if not item.owned:
        return "foreign"
    if item.uuid != uuid:
        return f"reported as {item.uuid}, and is {uuid}"
    if held is None or str_of(item) != held.place:
        right = SliceState.USED if str_of(item) in goal.busy else SliceState.FREE
        return "" if item.state is right else item.state.value
    if uuid != held.uuid:
        return f"{uuid} by now, and its Pod has {held.uuid}"
    holder = Holder("default", held.pod, held.uid, "main")
    return "" if (item.state, item.holder) == (SliceState.USED, holder) else f"{item.state.value} for {item.holder}"


def _ledger(ground: Ground, goal: Goal) -> str:
    stored = load(ground.state_dir / "ledger.json")
    written = {(e.gpu, e.placed): e.uuid for e in stored.entries} if stored else {}
    real = {
        (ground.sim.gpus[gpu].uuid, placed(place)): uuid
        for gpu in goal.wanted
        for place, uuid in existing(ground, gpu).whole.items()
    }
    return "" if written == real else f"the ledger says {written}, and there is {real}"


def _described(ground: Ground, goal: Goal) -> str:
    """Each slice by its name, in a file by the rules. An agent before may have left more, whose places hold nothing now."""
    if not ground.description.parent.exists():
        return ""
    real = {uuid for gpu in goal.wanted for uuid in existing(ground, gpu).whole.values()}
    if not ground.description.exists():
        return f"nothing is described, and there is {real}" if real else ""
    text = json.loads(ground.description.read_text(encoding="utf-8"))
    assert not violations(text), text
    described = {each["name"] for each in text["devices"]}
    return "" if real <= described else f"described are {described}, and there is {real}"


async def _offered(ground: Ground, goal: Goal, *, settled: bool) -> str:
    """Lists and counts; those of a profile without any slice are right only when the last ids were dropped."""
    real: dict[str, set[str]] = {}
    for gpu in goal.wanted:
        for place, uuid in existing(ground, gpu).whole.items():
            real.setdefault(placed(place).profile.resource, set()).add(uuid)
    listed = await ground.listed()
    if listed is not None:
        ids = set().union(*real.values())
        if {each for each, healthy in listed.items() if healthy} != ids or (settled and listed.keys() != ids):
            return f"the kubelet's lists are {json.dumps(listed)}, and there is {real}"
    counts = await ground.counts()
    for resource in counts.allocatable.keys() | real.keys() if settled else real.keys():
        count = len(real.get(resource, ()))
        if counts.allocatable.get(resource) != count or (settled and counts.capacity.get(resource, 0) != count):
            return f"the Node counts {counts}, and there is {real}"
    return ""
