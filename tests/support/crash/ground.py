"""A node for an agent to be killed on: what a run does to it and sees of it, whichever kubelet and API server it has."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mig.migspec import MigSpec, Spec, SpecGpu, SpecSlice
from nodeagent.kubelet.cdi import FILE_NAME
from nodeagent.kubelet.counts import Counts
from simgpu import SimNode
from tests.support.crash.agents import AgentProcess, ForkServer
from tests.support.crash.steps import Plan
from tests.support.instances import placed

POLL_S = 0.01
WITHIN_S = 18.0
"""How long anything may take: thirty times what it takes, and less than the agent's resyncs (20 and 30 s), which would hide that
something woke nobody.
"""

Wanted = Mapping[int, Sequence[str]]
"""Slices by the GPU's index, as `3g.40gb@4+4`."""


@dataclass(frozen=True)
class Held:
    """A slice that a Pod has, and that Pod's uid."""

    gpu: int
    place: str
    uuid: str
    pod: str
    uid: str


@dataclass
class Ground(ABC):
    """One node. `starts` counts agents, so that each has a trace of its own."""

    name: str
    folder: Path
    sim: SimNode
    forks: ForkServer
    starts: int = 0
    options: Sequence[str] = ()
    """More of the agents' command line."""
    agents: list[AgentProcess] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        """The agents' state folder."""
        return self.folder / "state"

    @property
    def description(self) -> Path:
        """Where agents that hand slices over by CDI names describe them."""
        return self.folder / "cdi" / FILE_NAME

    def hand_over_by_name(self) -> None:
        """Let agents that start from now on hand slices over by CDI names."""
        self.description.parent.mkdir()
        self.options = [
            *(*self.options, "--device-list-strategy", "cdi-cri", "--cdi-dir", str(self.description.parent)),
            *("--host-dev", str(self.sim.root / "dev"), "--proc-dir", str(self.sim.root / "proc")),
        ]

    def story(self) -> str:
        """What this node's agents logged, and the last one's last steps."""
        path = self.folder / "agent.log"
        logged = path.read_text(errors="replace")[-6000:] if path.exists() else "nothing was logged"
        return "\n".join([logged, *(self.agents[-1].all_steps()[-20:] if self.agents else ())])

    def start(self) -> AgentProcess:
        """Start an agent."""
        self.starts += 1
        plan = Plan(self.folder / f"steps-{self.starts}", self.folder / f"arming-{self.starts}")
        environment = {
            "SIMGPU_STATE": str(self.sim.directory),
            "NOS_MIG_BOOT_ID_FILE": str(self.sim.directory / "boot_id"),
        }
        arguments = [
            *("--node-name", self.name, "--state-dir", str(self.state_dir), "--health-port", "-1"),
            *self.arguments(),
            *self.options,
        ]
        agent = self.forks.spawn(arguments, environment=environment, plan=plan, log=self.folder / "agent.log")
        self.agents.append(agent)
        return agent

    async def until(self, missing: Callable[[], Awaitable[str]], *, what: str, by: AgentProcess | None = None) -> None:
        """Wait until nothing is missing; a time-out, or the agent's own end, tells what was, and what the agents logged."""
        said = ""
        try:
            async with asyncio.timeout(WITHIN_S):
                while said := await missing():
                    assert by is None or not by.dead, f"{what}: the agent ended, and {said}\n{self.story()}"
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise AssertionError(f"{what}: after {WITHIN_S:g} s {said}\n{self.story()}") from error

    def spec(self, wanted: Wanted) -> Spec:
        """The spec that wants these."""
        return Spec(
            1,
            tuple(
                SpecGpu(self.sim.gpus[index].uuid, tuple(SpecSlice(p.window, p.profile) for p in map(placed, places)))
                for index, places in wanted.items()
            ),
        )

    async def end_agents(self) -> None:
        """Kill whoever lives."""
        for agent in self.agents:
            await agent.kill()
            agent.close()
        self.agents.clear()

    @abstractmethod
    def arguments(self) -> list[str]:
        """How an agent reaches this node's kubelet and API server."""

    @abstractmethod
    async def hand_over(self, *, adopt: str) -> None:
        """Label the Node as an admin does, and tell the agent what to adopt."""

    @abstractmethod
    async def want(self, wanted: Wanted) -> None:
        """Write the spec, as the allocator would."""

    @abstractmethod
    async def migspec(self) -> MigSpec:
        """The MigSpec as stored."""

    @abstractmethod
    async def counts(self) -> Counts:
        """What the Node says."""

    @abstractmethod
    async def hold(self, gpu: int, place: str) -> Held:
        """Let a Pod have that slice."""

    @abstractmethod
    async def listed(self) -> Mapping[str, bool] | None:
        """Every id on a list of the kubelet, and whether it would allocate it; None where this kubelet does not say."""

    @abstractmethod
    async def give_twice(self, held: Held) -> str:
        """Let the kubelet try to give a slice that a Pod has to another Pod; what the other got, empty for nothing."""
