"""What the Pods that have their place take of each node: sums that are kept as Pods come and go, so that no round adds them up.

A Pod has its place once it is bound; one that asks for no slice also where it is nominated, for the scheduler holds that room. A
MIG Pod that waits is not counted here: where it counts is what a round decides.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from allocator.placement.fleet import NOTHING, HostPort, Resources
from allocator.pods import MigPod, Pod
from mig.demand import Need
from mig.profiles import Profile


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What is taken of one node; `slices` counts the devices of MIG Pods by profile."""

    requests: Resources = NOTHING
    ports: tuple[HostPort, ...] = ()
    slices: Mapping[Profile, int] = field(default_factory=dict)


NO_LOAD: Final = NodeLoad()


class _Share(NamedTuple):
    """What one Pod takes, and where."""

    node: str
    requests: Resources
    ports: tuple[HostPort, ...]
    needs: tuple[Need, ...]


class Loads:
    """The sums of all nodes."""

    def __init__(self) -> None:
        self._loads: dict[str, NodeLoad] = {}

    @property
    def by_node(self) -> Mapping[str, NodeLoad]:
        """Nodes without Pods are missing. Read only, and always what is known now."""
        return MappingProxyType(self._loads)

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Take in a Pod's change; most are of its status, and change nothing here."""
        before, after = _share(old), _share(new)
        if before == after:
            return
        if before is not None:
            self._add(before, sign=-1)
        if after is not None:
            self._add(after, sign=1)

    def _add(self, share: _Share, *, sign: int) -> None:
        load = self._loads.get(share.node, NO_LOAD)
        requests = load.requests.plus(share.requests) if sign > 0 else load.requests.minus(share.requests)
        if requests.pods <= 0:
            del self._loads[share.node]
            return
        slices = _summed(load.slices, (need.profile for need in share.needs), sign=sign) if share.needs else load.slices
        ports = _ports(load.ports, share.ports, sign=sign) if share.ports else load.ports
        self._loads[share.node] = NodeLoad(requests, ports, slices)


def _share(pod: Pod | None) -> _Share | None:
    if pod is None or not pod.node:
        return None
    if isinstance(pod, MigPod):
        return _Share(pod.node, pod.wish.requests, pod.wish.host_ports, pod.needs)
    return _Share(pod.node, pod.requests, pod.ports, ())


def _summed(counts: Mapping[Profile, int], profiles: Iterable[Profile], *, sign: int) -> Mapping[Profile, int]:
    total = Counter(counts)
    for profile in profiles:
        total[profile] += sign
    return +total


def _ports(ports: tuple[HostPort, ...], more: tuple[HostPort, ...], *, sign: int) -> tuple[HostPort, ...]:
    """A port stands there once for each Pod that has it: that it is taken twice can only be seen, not prevented."""
    if sign > 0:
        return ports + more
    kept = list(ports)
    for port in more:
        kept.remove(port)
    return tuple(kept)
