"""What the agent's other rooms need of the kubelet's side, whoever's device plugin stands there.

They offer slices, take them away and ask who has what; how the kubelet learns of it is the business of one of two
implementations: `kubelet.Kubelet` is a device plugin itself, `nvidia_plugin.NvidiaPlugin` makes NVIDIA's enumerate again. Both
promise that the Node counts only what a Pod can have, and that `ready_now` names a slice only when the kubelet would allocate
it and the Node shows so. Everything here belongs to the event loop, and nothing but `assigned_now` and `run` waits.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

from mig.profiles import Profile
from nodeagent.kubelet.offers import Device
from nodeagent.kubelet.podresources import Assignment, KubeletAway, KubeletBusy, KubeletError

__all__ = ["Assignment", "Device", "KubeletAway", "KubeletBusy", "KubeletError", "KubeletSide", "KubeletStatus"]


@dataclass(frozen=True, slots=True)
class KubeletStatus:
    """Whether the kubelet answers, and what an admin should look at: sentences that say what to do."""

    reachable: bool
    troubles: tuple[str, ...]


class KubeletSide(Protocol):
    """The kubelet of this node and whoever offers it our slices. Offers may be made before `run`."""

    async def run(self) -> None:
        """Keep the kubelet's and the Node's view equal to the offers. Eternal; one a node (hold the node's lock)."""

    # Offering.

    def offer(self, device: Device) -> None:
        """From now on a Pod may have it; also a withdrawn device that stays after all."""

    def withdraw(self, device_id: str) -> None:
        """From now on no new Pod should get it; it is not counted."""

    def drop(self, device_id: str) -> None:
        """Its slice was destroyed some seconds ago: forget the id."""

    def hold_back(self, device_ids: AbstractSet[str]) -> None:
        """These are not counted any more: the first step of taking them away. Replaces the last set."""

    def book_preference(self, claimed: Mapping[Profile, Sequence[str]]) -> None:
        """The ids to hand out first: of claimed slices whose Pod has no device yet. Replaces the last such order."""

    def mark_in_use(self, device_ids: AbstractSet[str]) -> None:
        """The ids that a Pod or process has now. Replaces the last set."""

    # Who has what.

    def handed_out(self) -> Mapping[str, float]:
        """When each id was last handed out, for those not forgotten since; empty where that cannot be known."""

    def forget_handout(self, device_id: str) -> None:
        """Its Pod is gone, or never got it."""

    def offered_now(self) -> frozenset[str]:
        """The ids of ours that the kubelet would allocate and that are not withdrawn, as of its last answer."""

    async def assigned_now(self) -> Sequence[Assignment]:
        """Which container has which MIG device. Raises `KubeletError` when that is not known now."""

    # The Node.

    def node_seen(self, node: Mapping[str, Any]) -> None:
        """Take in each version of our Node."""

    def counts_published(self, profile: Profile) -> bool:
        """Whether the newest known version of the Node shows the count of this profile as it should be now."""

    def ready_now(self) -> frozenset[str]:
        """All ids of ours that a Pod can be bound to: the kubelet would allocate them, and the Node counts them."""

    @property
    def status(self) -> KubeletStatus:
        """How we stand with the kubelet."""

    @property
    def unoffered(self) -> str:
        """What a slice waits for that exists and is not ready."""
