"""How an agent ends so that no Pod fails for it: the order after SIGTERM, each step bounded.

First the report says that the agent leaves, so that nobody is let go to this node any more, and a moment passes for whoever was
let go on the report before. Then Pods that were let go get their slices: they are waited for, until `drain_s` is over. Then what
nobody uses is withdrawn and the Node counts no slice of ours, so that nothing is bound here while nobody answers the kubelet.
The hardware stays as it is, and so do running Pods. It promises an end in time, also with an API server or a kubelet that is
away; what it could not wait for is in the log.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from kube.client import Api
from kube.errors import ApiError, NotFound
from kube.resource import PODS
from mig.migspec import Claim, Status
from mig.names import AGENT_LEAVING, GATE
from mig.profiles import Profile
from nodeagent.kubelet.kubeletside import KubeletStatus
from nodeagent.state import Farewell, NodeState
from nodeagent.values import Instance

log = logging.getLogger(__name__)

SETTLE_S: Final = 1.0
"""An allocator that read the report before has sent its patch by then: a round and its writes take some 0.2 s."""

WITHDRAW_S: Final = 5.0
"""Withdrawing takes some 0.3 s: the Node shows the lower count, 0.15 s for bindings under way, the kubelet takes in the list."""

LATE_S: Final = 1.0
"""How long the Node and the kubelet are waited for after what was left has been withdrawn at the deadline."""

START_S: Final = 3.0
"""A container that has its device starts within a second, or pulls an image for minutes: then its start is tried again, by the
kubelet, until a successor answers."""

LAST_WORD_S: Final = 2.0
POLL_S: Final = 0.3
ASK_S: Final = 2.0
"""Deadline of one question to the API server."""


class Reports(Protocol):
    """`publisher.Publisher`, as much of it as is needed here."""

    async def told(self, holds: Callable[[Status], bool], *, within_s: float) -> bool:
        """Wait until a report of this kind was written."""

    async def written(self, *, within_s: float) -> bool:
        """Wait until what is to be said now has been written."""


class Side(Protocol):
    """`kubeletside.KubeletSide`, as much of it as is needed here."""

    def offered_now(self) -> frozenset[str]:
        """The ids that the kubelet would allocate and that are not withdrawn."""

    def withdraw(self, device_id: str) -> None:
        """From now on no new Pod should get it."""

    def counts_published(self, profile: Profile) -> bool:
        """Whether the Node shows the count of this profile as it should be now."""

    @property
    def status(self) -> KubeletStatus:
        """How we stand with the kubelet."""


class Leaving:
    """The end of one agent; `ask` for it, and `run` returns when it is reached."""

    def __init__(
        self,
        *,
        state: NodeState,
        kubelet: Side,
        hold_back: Callable[[str], None],
        reports: Reports,
        look_up: Callable[[Claim], Awaitable[Mapping[str, Any] | None]],
        at_work: Callable[[], bool],
        clock: Callable[[], float],
        drain_s: float,
    ) -> None:
        """`look_up` gives a claim's Pod, None where it is gone; it raises `ApiError`. `at_work`: a call to the driver runs.

        `hold_back` makes the Node count a slice no more.
        """
        self._state = state
        self._kubelet = kubelet
        self._hold_back = hold_back
        self._reports = reports
        self._look_up = look_up
        self._at_work = at_work
        self._clock = clock
        self._drain_s = drain_s
        self._asked = asyncio.Event()

    def ask(self) -> bool:
        """Begin to leave; False where no time is given for that."""
        self._asked.set()
        return self._drain_s > 0

    async def run(self) -> None:
        """Wait to be asked, leave, and return."""
        await self._asked.wait()
        deadline = self._clock() + self._drain_s
        self._enter(Farewell.ANNOUNCED)
        if self._state.migspec is not None:
            if not await self._reports.told(says_leaving, within_s=self._drain_s):
                log.warning("leaving, though the report that says so could not be written")
            await asyncio.sleep(SETTLE_S)
            await self._serve(until=deadline)
            await self._see_started(until=min(deadline, self._clock() + START_S))
        self._enter(Farewell.WITHDRAWING)
        await self._withdraw(until=self._clock() + WITHDRAW_S)
        self._enter(Farewell.DONE)
        if self._state.migspec is not None:
            await self._reports.written(within_s=LAST_WORD_S)
        log.info("left in order")

    def _enter(self, stage: Farewell) -> None:
        log.info("leaving", extra={"stage": stage.name})
        self._state.farewell = stage
        self._state.changed.fire()

    async def _serve(self, *, until: float) -> None:
        """Wait for Pods that were let go to slices of this node and do not have them yet."""
        waiting = ["whoever was let go"]
        try:
            async with asyncio.timeout(max(until - self._clock(), 0.0)):
                while True:
                    before, waiting = waiting, await self._unserved()
                    if not waiting:
                        return
                    if waiting != before:
                        log.info("waiting for %s before what nobody uses is withdrawn", ", ".join(sorted(waiting)))
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log.warning("not waiting any longer for %s", ", ".join(sorted(waiting)))

    async def _unserved(self) -> list[str]:
        state = self._state
        claims = [claim for _, _, claim in state.migspec.spec.claims()] if state.migspec else []
        holders = {use.holder.uid for use in state.memory.uses.values() if use.holder}
        open_claims = {claim.uid: claim for claim in claims if claim.uid not in holders}
        waiting = [
            f"Pod {claim.namespace}/{claim.pod}" for claim in open_claims.values() if await self._may_come(claim)
        ]
        return waiting + [f"a bound Pod without its {profile}" for profile in state.unserved]

    async def _may_come(self, claim: Claim) -> bool:
        try:
            pod = await self._look_up(claim)
        except ApiError as error:
            log.debug("%s", error)
            return True
        return pod is not None and may_come(pod, uid=claim.uid, node=self._state.node_name)

    async def _see_started(self, *, until: float) -> None:
        """The kubelet asks once more before it starts a container with a device; a moment for those that are about to."""
        while self._clock() < until and not all(
            pod.started or pod.terminating
            for use in self._state.memory.uses.values()
            if use.holder and (pod := self._state.pods.get(use.holder.uid))
        ):
            await self._state.changed.beyond_or_after(self._state.changed.count, POLL_S)

    async def _withdraw(self, *, until: float) -> None:
        """Wait until the keepers have taken from the kubelet what nobody uses; the Node counts nothing any more.

        A keeper whose GPU hangs takes nothing away: at `until` that is done here, for every GPU, which touches no hardware.
        """
        if await self._reached(lambda: self._withdrawn() and not self._at_work(), until=until):
            return
        for device_id in self._unused():
            self._kubelet.withdraw(device_id)
        if not await self._reached(self._withdrawn, until=self._clock() + LATE_S):
            log.warning("leaving before everything was withdrawn: %s", "; ".join(self._kubelet.status.troubles))

    async def _reached(self, holds: Callable[[], bool], *, until: float) -> bool:
        """Wait for it, with every slice of ours held back meanwhile; whether it came to hold."""
        while True:
            self._hold_all()
            seen = self._state.changed.count
            if holds():
                return True
            if self._clock() >= until:
                return False
            await self._state.changed.beyond_or_after(seen, POLL_S)

    def _hold_all(self) -> None:
        """Also of a GPU that hangs, and what is used: its Pod is bound already, and when it ends nobody is to follow it."""
        for item in self._ours():
            self._hold_back(item.uuid)

    def _ours(self) -> list[Instance]:
        return [item for record in self._state.gpus.values() for item in record.ours() if item.uuid]

    def _unused(self) -> frozenset[str]:
        return frozenset(device_id for device_id in self._kubelet.offered_now() if not self._state.use(device_id))

    def _withdrawn(self) -> bool:
        counted = {item.placed.profile for item in self._ours()}
        return not self._unused() and all(self._kubelet.counts_published(profile) for profile in counted)


def says_leaving(status: Status) -> bool:
    """Whether this report tells the allocator to let nobody go here."""
    healthy = status.condition("Healthy")
    return healthy is not None and healthy.reason == AGENT_LEAVING


def may_come(pod: Mapping[str, Any], *, uid: str, node: str) -> bool:
    """Whether the Pod that claims a slice of this node may still be bound here, or is and has to get it."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    bound = spec.get("nodeName") or ""
    if metadata["uid"] != uid or status.get("phase") in ("Succeeded", "Failed"):
        return False
    if bound:
        return bool(bound == node)
    gates = [gate["name"] for gate in spec.get("schedulingGates") or ()]
    return GATE not in gates and "deletionTimestamp" not in metadata


async def look_up(api: Api, claim: Claim) -> Mapping[str, Any] | None:
    """A claim's Pod, None where there is none of that name."""
    try:
        return await api.get(PODS, claim.pod, namespace=claim.namespace, timeout_s=ASK_S)
    except NotFound:
        return None
