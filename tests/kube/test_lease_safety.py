"""At most one leads at any moment, whatever the network does, and each term has a higher epoch than all before.

Hours of elections on virtual time, with calls that hang, are refused, get lost on the way back, or arrive half a
minute late; candidates are killed, stopped and started again. (L1 to L5, L10)
"""

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, field
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from kube.lease import LeadershipLost, LeaseElection
from tests.support.leases import Wire
from tests.support.objectstore import ObjectStore
from tests.support.virtualtime import run_virtually

MINUTES = 20
CANDIDATES = 3


@dataclass
class World:
    """The common store and what the leaders did."""

    rng: random.Random
    store: ObjectStore = field(default_factory=ObjectStore)
    working: set[str] = field(default_factory=set)
    epochs: list[int] = field(default_factory=list)
    aborted: int = 0

    async def floor(self) -> int:
        """Give the highest epoch in use, as one finds it in what leaders wrote."""
        return max(self.epochs, default=0)

    def abort(self) -> None:
        """Count an end of the lease before the work's."""
        self.aborted += 1


async def candidate(world: World, trouble: float, number: int) -> None:
    """Live, lead and die again and again; each life has its own identity, as each process has."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 60 * MINUTES
    life = 0
    while loop.time() < end:
        life += 1
        identity = f"candidate-{number}-{life}"
        wire = Wire(world.store, world.rng, trouble=trouble)
        election = LeaseElection(
            wire,
            namespace="ns",
            name="lease",
            identity=identity,
            floor_epoch=world.floor,
            clock=loop.time,
            jitter=world.rng.random,
            abort=world.abort,
        )
        living = asyncio.create_task(election.lead(partial(work, world, identity)))
        await asyncio.wait({living}, timeout=world.rng.expovariate(1 / 60))
        # A third is cut off for a while before its death.
        wire.dead = world.rng.random() < 0.33
        await asyncio.wait({living}, timeout=world.rng.uniform(0, 40) if wire.dead else 0)
        # Half of the deaths are SIGTERM, which releases; the other half leave the Lease as it is.
        wire.dead = world.rng.random() < 0.5
        living.cancel()
        with contextlib.suppress(LeadershipLost, asyncio.CancelledError):
            await living
        await asyncio.sleep(world.rng.uniform(0, 10))


async def work(world: World, identity: str, epoch: int) -> None:
    assert not world.working, f"{identity} leads beside {world.working}"
    assert all(epoch > earlier for earlier in world.epochs), f"epoch {epoch} after {world.epochs}"
    world.working.add(identity)
    world.epochs.append(epoch)
    try:
        await asyncio.sleep(1e9)
    finally:
        # Stopping takes its time, but less than lies between our deadline and that of the others (15 - 10 s).
        await asyncio.sleep(world.rng.uniform(0, 4.5))
        world.working.discard(identity)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.3, 0.6]))
def test_never_two_leaders_and_never_an_old_epoch(seed: int, trouble: float) -> None:
    world = World(random.Random(seed))

    async def simulate() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CANDIDATES):
                group.create_task(candidate(world, trouble, number))

    logging.getLogger("kube.lease").setLevel(logging.ERROR)
    run_virtually(simulate)
    assert world.aborted == 0
    # Somebody leads most of the time, too: a lock that nobody ever gets would be safe as well.
    assert len(world.epochs) >= (MINUTES / 4 if trouble < 0.5 else 1)
