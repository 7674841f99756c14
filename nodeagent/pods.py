"""The Pods of this node, as much of them as the agent needs: who they are, their devices by profile, whether they live.

Pure reading of the API server's objects. Which slice a Pod has is not in them; `usage` finds that out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mig.demand import asks_for_mig, needs_of
from mig.names import REQUEST_ANNOTATION
from mig.profiles import Profile

_FINISHED: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class PodView:
    """One Pod that is bound here. `needs` is the number of devices by profile, as the kubelet counts them."""

    namespace: str
    name: str
    uid: str
    needs: tuple[tuple[Profile, int], ...] = ()
    finished: bool = False
    terminating: bool = False
    admitted: bool = False
    """The kubelet has taken it on: whatever devices it asks for are its own by now, or it is finished."""
    uninvited: bool = False
    """The admission webhook never saw it, so nothing was reserved for it: a static Pod, or one of a time without webhook."""
    started: bool = False
    """Its containers were started, so the kubelet asks nobody about its devices any more, but at a restart of one."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name: all that the kubelet's PodResources says of a Pod."""
        return self.namespace, self.name

    def need(self, profile: Profile) -> int:
        """How many devices of this profile it holds while it lives."""
        return dict(self.needs).get(profile, 0)


def pod_from_json(obj: Mapping[str, Any]) -> PodView:
    """Read a Pod of the API server. Raises `ValueError` where it asks for MIG in a way that nobody can read."""
    metadata, spec = obj["metadata"], obj["spec"]
    status = obj.get("status") or {}
    phase = status.get("phase")
    needs = Counter(need.profile for need in needs_of(spec)) if asks_for_mig(spec) else Counter[Profile]()
    return PodView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        needs=tuple(sorted(needs.items())),
        finished=phase in _FINISHED,
        terminating="deletionTimestamp" in metadata,
        admitted="startTime" in status,
        uninvited=REQUEST_ANNOTATION not in (metadata.get("annotations") or {}),
        started=phase == "Running" or phase in _FINISHED,
    )
