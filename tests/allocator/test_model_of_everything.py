"""Allocators, agents, kubelets, a scheduler and users, in any order and with any fault (F2 in small; L7, L8, L11, A7).

Hypothesis makes up histories: events seen late or in part, writes refused, answers lost, processes killed between any two writes,
an earlier leader that goes on. At every moment no container has two slices and nobody is let go to a slice that is not there; when
the faults end, everything comes to rest with every slice where it belongs.
"""

import asyncio
from collections.abc import Callable
from random import Random

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kube.errors import Conflict, Unavailable
from kube.lease import LeadershipLost
from mig.names import PARTITIONING_LABEL
from mig.occupancy import first_fault
from tests.allocator.leader import Leader
from tests.allocator.machines import schedule, unfinished
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.allocator.world import World
from tests.support.shapes import shapes

PROFILES = st.lists(
    st.sampled_from(["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"]), min_size=1, max_size=2
)
CHANCE = st.randoms(use_true_random=False)


class Killed(BaseException):
    """kill -9: nothing of ours catches it."""


class Everything(RuleBasedStateMachine):
    """The whole cluster; each rule is one step of somebody."""

    @initialize(seed=st.integers(0, 1000), nodes=st.integers(1, 2), gpus=st.integers(1, 2))
    def begin(self, seed: int, nodes: int, gpus: int) -> None:
        """One or two nodes, handed over."""
        self.runner = asyncio.Runner()
        self.world = World(self.runner, seed=seed)
        for number in range(nodes):
            self.world.add_node(f"n{number}", *(f"GPU-{number}-{index}" for index in range(gpus)))
        self.world.run(4)
        self.former: list[Leader] = []
        self.names = 0

    @property
    def leader(self) -> Leader:
        """The newest allocator."""
        return self.world.leader

    # Users

    @rule(profiles=PROFILES, priority=st.integers(0, 2))
    def submit(self, profiles: list[str], priority: int) -> None:
        """A user wants slices."""
        self.names += 1
        self.world.add_pod(f"p{self.names}", *profiles, priority=priority)

    @rule(random=CHANCE, how=st.sampled_from(["delete", "finish", "again"]))
    def end(self, random: Random, how: str) -> None:
        """A Pod ends, one way or another."""
        pods = unfinished(self.world.store)
        if not pods:
            return
        name = random.choice(sorted(pod["metadata"]["name"] for pod in pods))
        if how == "finish" and self.world.bound_to(name):
            self.world.patch(PODS, name, status={"phase": "Succeeded"})
            return
        self.world.delete_pod(name)
        if how == "again":
            self.world.add_pod(name, "1g.10gb")

    # Admins

    @rule(random=CHANCE, on=st.booleans())
    def cordon(self, random: Random, on: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        """An admin cordons a node, or lets it go."""
        self.world.patch(NODES, random.choice(sorted(self.world.machines)), spec={"unschedulable": on})

    @rule(random=CHANCE, on=st.booleans())
    def hand_over(self, random: Random, on: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        """An admin hands a node over, or back."""
        node = self.world.store.get(NODES, "", random.choice(sorted(self.world.machines)))
        node["metadata"]["labels"][PARTITIONING_LABEL] = "mig" if on else "no"
        self.world.store.update(NODES, "", node["metadata"]["name"], node)

    @rule(random=CHANCE)
    def delete_migspec(self, random: Random) -> None:
        """S10."""
        names = sorted(name for _, name in self.world.store.collection(MIGSPECS))
        if names:
            self.world.store.delete(MIGSPECS, "", random.choice(names))

    # Allocators

    @rule(events=st.integers(1, 6))
    def see_a_little(self, events: int) -> None:
        """The watch shows some of what happened."""
        self.leader.observe(at_most=events)

    @rule(up_to_date=st.booleans())
    def act(self, up_to_date: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        """A round, on what is known."""
        if not up_to_date:
            self.leader.round()
            return
        self.leader.observe()
        gated = {pod["metadata"]["name"] for pod in unfinished(self.world.store) if pod["spec"].get("schedulingGates")}
        self.leader.round()
        for name in gated:
            if not self.world.gated(name):
                assert not self.world.machines[self.world.nominated(name)].leaving

    @rule(random=CHANCE, share=st.sampled_from([0.2, 0.5, 0.9]))
    def act_badly(self, random: Random, share: float) -> None:
        """A7: writes are refused, or made and their answers lost."""
        self.leader.observe()
        self.leader.api.fault = faulty(random, share)
        self.leader.round()
        self.leader.api.fault = lambda _: None

    @rule(calls=st.integers(0, 6))
    def die(self, calls: int) -> None:
        """L11: killed at one of its calls, before or after it took effect; another takes over."""
        left = iter(range(calls))

        def fault(_: str) -> None:
            if next(left, None) is None:
                raise Killed

        self.leader.observe()
        self.leader.api.fault = fault
        try:
            self.leader.round()
        except BaseExceptionGroup as group:
            if group.subgroup(Killed) is None:
                raise
        self.world.new_leader()

    @rule()
    def take_over(self) -> None:
        """L8: the old one does not know."""
        self.former.append(self.leader)
        self.world.new_leader()

    @rule(random=CHANCE, up_to_date=st.booleans())
    def act_as_former_leader(self, random: Random, up_to_date: bool) -> None:  # noqa: FBT001 - by name
        """L7, L8: what it still does must not hurt; when it sees that it is deposed it stops."""
        if not self.former:
            return
        former = random.choice(self.former)
        if up_to_date:
            former.observe()
        try:
            former.round()
        except LeadershipLost:
            self.former.remove(former)

    @rule(seconds=st.sampled_from([0.5, 6.0, 35.0]))
    def wait(self, seconds: float) -> None:
        """Time passes for the leader."""
        self.leader.now += seconds

    # Nodes and the scheduler

    @rule(random=CHANCE, steps=st.integers(1, 3), report=st.booleans())
    def agent(self, random: Random, steps: int, report: bool) -> None:  # noqa: FBT001 - by name
        """An agent works, and perhaps reports."""
        machine = random.choice(sorted(self.world.machines.values(), key=lambda machine: machine.name))
        machine.collect()
        for _ in range(steps):
            machine.work()
        if report:
            machine.report()

    @rule(random=CHANCE, withdrawn=st.booleans())
    def replace_agent(self, random: Random, withdrawn: bool) -> None:  # noqa: FBT001 - by name
        """An agent says that it leaves, and perhaps has withdrawn its slices; or its successor reports."""
        machine = random.choice(sorted(self.world.machines.values(), key=lambda machine: machine.name))
        machine.leaving = not machine.leaving
        machine.hides_slices = machine.leaving and withdrawn
        machine.report()

    @rule(random=CHANCE)
    def break_a_place(self, random: Random) -> None:
        """Hardware fails, or is well again."""
        machine = random.choice(sorted(self.world.machines.values(), key=lambda machine: machine.name))
        machine.broken = {(random.choice(machine.gpus), random.choice([0, 4]))} if not machine.broken else set()

    @rule(stubborn=st.booleans())
    def bind(self, stubborn: bool) -> None:  # noqa: FBT001 - by name
        """The scheduler binds and the kubelets hand out."""
        schedule(self.world.store, self.world.random, stubborn=stubborn)
        self.world.kubelets()

    # What always holds

    @invariant()
    def no_container_has_two_slices(self) -> None:
        """Over all nodes, at every moment."""
        holders = [(claim.uid, claim.container) for *_, claim in self.world.claims()]
        assert len(holders) == len(set(holders))

    @invariant()
    def hardware_is_possible(self) -> None:
        """The driver would have allowed all of it."""
        for machine in self.world.machines.values():
            for existing in machine.instances.values():
                assert first_fault(shapes()[machine.model], existing) is None

    @invariant()
    def no_container_has_two_devices(self) -> None:
        """Nobody holds two devices for one container."""
        for machine in self.world.machines.values():
            held = [(uid, container) for _, _, uid, container in machine.devices.values()]
            assert len(held) == len(set(held))

    def teardown(self) -> None:
        """The faults end."""
        if hasattr(self, "world"):
            try:
                self.comes_to_rest()
            finally:
                self.runner.close()

    def comes_to_rest(self) -> None:
        """Without faults, and with time enough for every limit to pass."""
        world = self.world
        for name, machine in world.machines.items():
            machine.broken = set()
            machine.leaving = machine.hides_slices = False
            world.patch(NODES, name, spec={"unschedulable": False})
            node = world.store.get(NODES, "", name)
            node["metadata"]["labels"][PARTITIONING_LABEL] = "mig"
            world.store.update(NODES, "", name, node)
        world.run(40, seconds=4.0)
        world.leader.observe()
        decisions = world.leader.decide()
        assert decisions.idle, decisions
        claims = {(node, gpu, placed): (claim.uid, claim.container) for node, gpu, placed, claim in world.claims()}
        held = {
            (name, *slot): (uid, container)
            for name, machine in world.machines.items()
            for slot, (_, _, uid, container) in machine.devices.items()
        }
        assert claims == held
        for pod in unfinished(world.store):
            if not pod["spec"].get("nodeName"):
                assert world.condition(pod["metadata"]["name"])["reason"] in {"Full", "Fragmented"}


def faulty(random: Random, share: float) -> Callable[[str], None]:
    """Refuse some calls, and lose the answers of others."""

    def fault(moment: str) -> None:
        if random.random() < share:
            if moment.startswith("before"):
                raise Conflict(moment, status=409, reason="Conflict")
            raise Unavailable(moment, reason="Network")

    return fault


Everything.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestEverything = Everything.TestCase
