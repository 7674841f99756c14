"""The fleet as placement and the room check see it, after the claims of this round are settled.

Says what is free on each node: allocatable, less the Pods that have their place there, less every MIG Pod that is reserved or
nominated there; and how many more Pods of a profile the scheduler would let in.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

from allocator.desk import Desk
from allocator.loads import NO_LOAD
from allocator.placement.fit import misfit
from allocator.placement.fleet import NOTHING, HostPort, NodeView, Resources
from allocator.pods import MigPod
from allocator.view import Tracked, gpu_views
from mig.profiles import Profile

SILENT_S: Final = 20.0
"""An agent that owes a report for so long gets no new reservation: 40 times what its slowest answer takes."""

COMES_BACK_S: Final = 60.0
"""An agent that ended in order is followed by another within a rollout's pause for one node: an image is pulled, a Pod starts. So
long its reservations wait for it; nothing new goes there meanwhile."""

_NOTHING_WORKS: Final = ("DriverUnavailable", "KubeletUnavailable")


@dataclass
class _Load:
    """What Pods take that are still on their way."""

    requests: Resources = NOTHING
    ports: tuple[HostPort, ...] = ()
    pending: Counter[Profile] = field(default_factory=Counter)


class Fleet:
    """Made once in a round, after the claims are settled and before anything is placed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loads: defaultdict[str, _Load] = defaultdict(_Load)
        self._granted: Counter[tuple[str, Profile]] = Counter()
        for pod in desk.view.pods.values():
            if not pod.node:
                for node in self._nodes_of(pod):
                    self._charge(pod, self._loads[node])

    def _nodes_of(self, pod: MigPod) -> set[str]:
        """Where a Pod that waits counts: where its slices are, and where the scheduler holds room for it."""
        return {spot.node for spot in self._desk.spots(pod.uid)} | ({pod.nominated} - {""})

    def _charge(self, pod: MigPod, load: _Load) -> None:
        load.requests = load.requests.plus(pod.wish.requests)
        load.ports += pod.wish.host_ports
        if pod.nominated or not pod.gates:
            load.pending.update(need.profile for need in pod.needs)

    def views(self) -> tuple[NodeView, ...]:
        """The nodes that have reported, by name."""
        return tuple(
            self._view(tracked)
            for name, tracked in sorted(self._desk.view.specs.items())
            if tracked.migspec.status is not None and self._desk.is_ours(name)
        )

    def view(self, node: str) -> NodeView | None:
        """One node, or None where nothing may be decided on it."""
        tracked = self._desk.view.specs.get(node)
        return self._view(tracked) if tracked is not None and self._desk.is_ours(node) else None

    def _view(self, tracked: Tracked) -> NodeView:
        name = tracked.migspec.name
        facts = self._desk.view.nodes[name]
        there = self._desk.view.loads.get(name, NO_LOAD)
        coming = self._loads.get(name)
        free = facts.allocatable.minus(there.requests)
        changed = self._desk.is_changed(name)
        return NodeView(
            facts=facts,
            free=free.minus(coming.requests) if coming is not None else free,
            gpus=gpu_views(tracked, self._desk.slots(name)) if changed else tracked.gpu_views,
            used_ports=there.ports + coming.ports if coming is not None else there.ports,
            trouble=self._trouble(tracked),
        )

    def is_leaving(self, node: str) -> bool:
        """Whether the node's agent ends: nobody is let go there before a successor has reported."""
        return node in self._desk.notes.leaving

    def has_left(self, node: str) -> bool:
        """Whether no successor has come for so long that reservations there have lost their worth."""
        since = self._desk.notes.leaving.get(node)
        return since is not None and self._desk.now - since >= COMES_BACK_S

    def _trouble(self, tracked: Tracked) -> str:
        if self.is_leaving(tracked.migspec.name):
            return "whose agent is ending or being replaced"
        since = self._desk.notes.overdue.get((tracked.migspec.name, tracked.judged))
        if since is not None and self._desk.now - since >= SILENT_S:
            return f"whose agent has not answered for {SILENT_S:.0f} s"
        healthy = tracked.migspec.status.condition("Healthy") if tracked.migspec.status else None
        if healthy is not None and healthy.status == "False" and healthy.reason in _NOTHING_WORKS:
            return f"whose agent reports {healthy.reason}"
        return ""

    def misfit_at_home(self, pod: MigPod, node: str) -> str | None:
        """Why a Pod can no longer run where its slices are, or None where it can; its own load does not count."""
        view = self.view(node)
        if view is None:
            return "not handed over"
        if self.is_leaving(node) and not self.has_left(node):
            view = replace(view, trouble="")
        ports = list(view.used_ports)
        for port in pod.wish.host_ports:
            ports.remove(port)
        return misfit(pod.wish, replace(view, free=view.free.plus(pod.wish.requests), used_ports=tuple(ports)))

    def has_room(self, pod: MigPod, node: str) -> bool:
        """Whether the Node shows enough devices for this Pod beside all that are bound, nominated or past their gate there."""
        there, coming = self._desk.view.loads.get(node, NO_LOAD), self._loads[node]
        facts = self._desk.view.nodes[node]
        wanted = Counter(need.profile for need in pod.needs)
        own = wanted if (pod.nominated or not pod.gates) else Counter[Profile]()
        return all(
            facts.mig_allocatable.get(profile.resource, 0)
            - there.slices.get(profile, 0)
            - (coming.pending[profile] - own[profile])
            - self._granted[node, profile]
            >= count
            for profile, count in wanted.items()
        )

    def grant(self, pod: MigPod, node: str) -> None:
        """Count a Pod that is let go in this round, unless it counts already."""
        if pod.gates and not pod.nominated:
            for need in pod.needs:
                self._granted[node, need.profile] += 1

    def leaves(self, pod: MigPod, node: str) -> None:
        """Count a Pod no more where it gave up its slices in this round."""
        load = self._loads[node]
        load.requests = load.requests.minus(pod.wish.requests)
