"""The book of devices that we offer the kubelet, and what may be done with each. Pure but for the clock that is passed in.

A device id is the UUID of a MIG slice that exists. The book decides which free id the kubelet should take for a container and
whether an `Allocate` is sound; it promises that an id goes to a second Pod only after its holder was forgotten. It knows nothing
of gRPC, and nothing of the hardware: whoever keeps it offers, withdraws and drops.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mig.placements import Window
from mig.profiles import Profile
from nodeagent.kubelet.devicenodes import Access
from nodeagent.pulse import Pulse

log = logging.getLogger(__name__)

DROP_AFTER_S = 1.0
"""Least time between `withdraw` and `drop`. The kubelet crashes when an id vanishes while it allocates that id, and it needs some
milliseconds from our answer, or from taking in the withdrawal, to be done with it."""

SUCCEED_AFTER_S = 2 * DROP_AFTER_S
"""How long an id stays withdrawn in its list before it appears in another one; as long as others wait before they `drop` it."""


class Refused(Exception):
    """A device that must not be handed out, or a container that must not start; the text ends up in the Pod's Events."""


@dataclass(frozen=True, slots=True)
class Device:
    """A slice as the kubelet sees it. `id` is its MIG UUID (46 characters; the kubelet takes up to 63).

    `access` names its device nodes; None where the driver does not tell the GPU's minor number.
    """

    id: str
    profile: Profile
    gpu: str
    window: Window
    access: Access | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a resource's list: an id, and whether the kubelet may still allocate it."""

    id: str
    healthy: bool


class Offers:
    """The book. `changed` fires when a list changes, `handed` when an id was handed out."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.changed = Pulse()
        self.handed = Pulse()
        self._clock = clock
        self._devices: dict[str, Device] = {}
        self._healthy: set[str] = set()
        self._withdrawn_at: dict[str, float] = {}
        self._successors: dict[str, Device] = {}
        self._profiles: set[Profile] = set()
        self._handed_out: dict[str, float] = {}
        self._in_use: frozenset[str] = frozenset()
        self._held_back: frozenset[str] = frozenset()
        self._claimed: Mapping[Profile, Sequence[str]] = {}
        self._regarded_free: dict[Profile, frozenset[str]] = {}

    # The agent's side.

    def offer(self, device: Device) -> None:
        """List it as healthy from now on; also a device that was withdrawn and stays after all.

        A UUID tells a slice's GPU and instance ids alone, so another profile at the same place can come with the same one. Its id
        must not leave the old list at once: the new slice waits until its predecessor's time is over (see `let_in`).
        """
        before = self._devices.get(device.id)
        if before is not None and before.profile != device.profile:
            if self._successors.get(device.id) != device:
                self._successors[device.id] = device
                self._profiles.add(device.profile)
                self._make_unhealthy(device.id)
                self.changed.fire()
            return
        self._successors.pop(device.id, None)
        if before == device and device.id in self._healthy:
            return
        self._devices[device.id] = device
        self._healthy.add(device.id)
        self._profiles.add(device.profile)
        self.changed.fire()

    def let_in(self) -> float:
        """List the slices whose predecessors' time is over, and no sooner; the seconds until the next one's is."""
        now = self._clock()
        dues = {device_id: self._withdrawn_at[device_id] + SUCCEED_AFTER_S for device_id in self._successors}
        for device_id in [each for each, due in dues.items() if due <= now]:
            del dues[device_id]
            self.drop(device_id)
        return min(dues.values(), default=float("inf")) - now

    def withdraw(self, device_id: str) -> None:
        """List it as unhealthy from now on: the kubelet hands it out no more, and we would refuse."""
        self._successors.pop(device_id, None)
        if self._make_unhealthy(device_id):
            self.changed.fire()

    def drop(self, device_id: str) -> None:
        """Take a withdrawn id off its list, and forget who had it; what waits for its time is listed then.

        Does nothing sooner than `DROP_AFTER_S` after the last `withdraw`, nor to an id that was offered again in between: a slice
        made anew at the same place can have the same UUID, so a drop that was meant for its predecessor may come late.
        """
        if device_id not in self._devices or device_id in self._healthy:
            return
        if self._clock() - self._withdrawn_at[device_id] >= DROP_AFTER_S:
            del self._devices[device_id]
            del self._withdrawn_at[device_id]
            self._handed_out.pop(device_id, None)
            if successor := self._successors.pop(device_id, None):
                self.offer(successor)
            self.changed.fire()

    def prefer(self, claimed: Mapping[Profile, Sequence[str]]) -> None:
        """Name the ids to hand out first, best first: claimed slices whose Pod has no device yet."""
        self._claimed = dict(claimed)

    def mark_in_use(self, device_ids: AbstractSet[str]) -> None:
        """Name the ids that some Pod or process has now, so that they are not handed out anew. Replaces the last such set."""
        self._in_use = frozenset(device_ids)

    def hold_back(self, device_ids: AbstractSet[str]) -> None:
        """Name the ids that no longer count as allocatable though still healthy; handed out last. Replaces the last such set."""
        if self._held_back != device_ids:
            self._held_back = frozenset(device_ids)
            self.changed.fire()

    @property
    def handed_out(self) -> Mapping[str, float]:
        """When each id was last handed out, by the book's clock, for those not forgotten since."""
        return dict(self._handed_out)

    def forget_handout(self, device_id: str) -> None:
        """Its Pod is gone, or never got it: the id may be handed out again."""
        self._handed_out.pop(device_id, None)

    # What is listed.

    @property
    def profiles(self) -> frozenset[Profile]:
        """Every profile that was ever offered: its resource stays registered, with an empty list if need be."""
        return frozenset(self._profiles)

    def listed(self, profile: Profile) -> tuple[Listed, ...]:
        """The whole list of one resource, by id."""
        ids = sorted(device.id for device in self._devices.values() if device.profile == profile)
        return tuple(Listed(device_id, device_id in self._healthy) for device_id in ids)

    def healthy(self, profile: Profile) -> frozenset[str]:
        """The ids of one resource that the kubelet may allocate."""
        return frozenset(line.id for line in self.listed(profile) if line.healthy)

    def device(self, device_id: str) -> Device | None:
        """What is in the book under this id, healthy or not."""
        return self._devices.get(device_id)

    @property
    def held_back(self) -> frozenset[str]:
        """What `hold_back` named."""
        return self._held_back

    # The kubelet's side.

    def preferred(
        self, profile: Profile, *, available: Iterable[str], must_include: Iterable[str], size: int
    ) -> tuple[str, ...]:
        """The ids that the kubelet should take for one container: at most `size`, fewer where too few are free by our own book.

        The kubelet's list of what is available is not trusted to mean free (it can offer one device twice).
        """
        free = frozenset(available)
        self._regarded_free[profile] = free.difference(must_include)
        chosen = list(must_include)
        if lost := free & (self._handed_out.keys() | self._in_use):
            log.debug("the kubelet regards as free what is in use, or was a moment ago: %s", ", ".join(sorted(lost)))
        candidates = [line.id for line in self.listed(profile) if line.id in free and self._may_hand_out(line.id)]
        order = {device_id: rank for rank, device_id in enumerate(self._claimed.get(profile, ()))}
        candidates.sort(key=lambda each: (each in self._held_back, order.get(each, len(order))))
        chosen += [each for each in candidates if each not in chosen]
        return tuple(chosen[:size])

    def hand_out(self, profile: Profile, device_ids: Sequence[str]) -> None:
        """Note an `Allocate`. Raises `Refused`, and then notes nothing.

        Who asks is unknown, so one question has to be answered otherwise: does an id that was handed out go to the *same* Pod
        again (a plain init container's device passes on to a later container, a second `Allocate` with the same id), or does the
        kubelet, having lost track, give it to another? The kubelet asks for a preference before each allocation except when it
        passes a device on within a Pod, and its list of available ids contains what it regards as free. So an id in the last such
        list goes to a new Pod, which is refused unless we know it to be free; any other goes on within its Pod.
        """
        fresh = self._regarded_free.pop(profile, frozenset())
        for device_id in device_ids:
            self._check_listed(profile, device_id)
            if device_id not in self._healthy:
                raise Refused(f"slice {device_id} ({profile}) is being taken away; a new Pod gets another slice")
            if device_id in fresh and not self._may_hand_out(device_id):
                raise Refused(
                    f"slice {device_id} ({profile}) is still in use by another Pod; a new Pod gets another slice"
                )
        for device_id in device_ids:
            self._handed_out[device_id] = self._clock()
        self.handed.fire()

    def start(self, profile: Profile, device_ids: Sequence[str]) -> None:
        """Note that a container with these ids is about to start, which an in-place restart does with no `Allocate`.

        Raises `Refused` for an id that is gone. A withdrawn one still starts: its Pod has it.
        """
        for device_id in device_ids:
            self._check_listed(profile, device_id)
        for device_id in device_ids:
            self._handed_out.setdefault(device_id, self._clock())
        self.handed.fire()

    def _may_hand_out(self, device_id: str) -> bool:
        return device_id in self._healthy and device_id not in self._handed_out and device_id not in self._in_use

    def _make_unhealthy(self, device_id: str) -> bool:
        if device_id not in self._healthy:
            return False
        self._healthy.discard(device_id)
        self._withdrawn_at[device_id] = self._clock()
        return True

    def _check_listed(self, profile: Profile, device_id: str) -> None:
        device = self._devices.get(device_id)
        if device is None or device.profile != profile or device_id in self._successors:
            raise Refused(f"slice {device_id} ({profile}) does not exist on this node any more; create the Pod again")
