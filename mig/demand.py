"""What a Pod asks for: which containers, which profiles, and how few slices serve them.

The one reading of a Pod's resources that the webhook and the allocator share; the allocator trusts it and never the
annotation. A plain init container's device goes on to a later container of the same profile, as the kubelet hands it on, so
a Pod needs per profile max(app containers + sidecars, each init container + the sidecars before it): one `Need` for each
slice, named after its last holder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mig.migspec import Claim
from mig.profiles import Profile, ProfileNameError, is_mig_resource, parse_profile, profile_of_resource
from mig.quantity import parse_quantity

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Need:
    """One slice that a Pod needs. `containers` hold it one after the other; the last one names the claim."""

    profile: Profile
    containers: tuple[str, ...]

    @property
    def container(self) -> str:
        """The last holder."""
        return self.containers[-1]


@dataclass(frozen=True, slots=True)
class Allotment:
    """One container's slice, as `mig-allocation` tells it."""

    node: str
    gpu: str
    profile: Profile
    start: int


def mig_limits(container: Json) -> Mapping[str, object]:
    """The MIG resources in a container's limits, as written."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return {name: value for name, value in limits.items() if is_mig_resource(name)}


def requested_profile(container: Json) -> Profile | None:
    """The profile that a container asks for, one slice of it, or None.

    Raises `ProfileNameError` or `QuantityError` where the Pod came round the webhook with something unreadable.
    """
    for resource, quantity in sorted(mig_limits(container).items()):
        if parse_quantity(quantity) > 0:
            return profile_of_resource(resource)
    return None


def asks_for_mig(pod_spec: Json) -> bool:
    """Whether any container names a MIG resource, in requests or limits."""
    for container, _ in all_containers(pod_spec):
        resources = container.get("resources") or {}
        for kind in ("limits", "requests"):
            if any(is_mig_resource(name) for name in resources.get(kind) or {}):
                return True
    return False


def all_containers(pod_spec: Json) -> Iterator[tuple[Json, bool]]:
    """Init containers, then app containers, each with whether it is a plain init container (one that ends before the next)."""
    for container in pod_spec.get("initContainers") or ():
        yield container, container.get("restartPolicy") != "Always"
    for container in pod_spec.get("containers") or ():
        yield container, False


def request_of(pod_spec: Json) -> dict[str, Profile]:
    """Container → profile, for every container that asks for a slice, in the order in which they start."""
    request: dict[str, Profile] = {}
    for container, _ in all_containers(pod_spec):
        profile = requested_profile(container)
        if profile is not None:
            request[container["name"]] = profile
    return request


def needs_of(pod_spec: Json) -> tuple[Need, ...]:
    """The fewest slices that serve the Pod, as the kubelet hands devices on. Raises as `requested_profile`."""
    chains: list[tuple[Profile, list[str]]] = []
    reusable: list[tuple[Profile, list[str]]] = []
    for container, plain_init in all_containers(pod_spec):
        profile = requested_profile(container)
        if profile is None:
            continue
        chain = next((item for item in reusable if item[0] == profile), None)
        if chain is None:
            chain = (profile, [])
            chains.append(chain)
        else:
            reusable.remove(chain)
        chain[1].append(container["name"])
        if plain_init:
            reusable.append(chain)
    return tuple(Need(profile, tuple(containers)) for profile, containers in chains)


def claim_for(need: Need, *, namespace: str, pod: str, uid: str) -> Claim:
    """The claim that reserves a slice for this need."""
    return Claim(uid=uid, container=need.container, namespace=namespace, pod=pod)


def request_to_annotation(request: Mapping[str, Profile]) -> str:
    """The value of `mig-request`: compact JSON, sorted, so that the same Pod gives the same bytes."""
    return json.dumps({name: str(profile) for name, profile in request.items()}, sort_keys=True, separators=(",", ":"))


def allocation_to_annotation(needs: Sequence[Need], where: Mapping[str, Allotment]) -> str:
    """The value of `mig-allocation`. `where` is by claim name (the last holder); every holder of a need is listed."""
    allocation = {
        container: {"node": place.node, "gpu": place.gpu, "profile": str(place.profile), "start": place.start}
        for need in needs
        if (place := where.get(need.container)) is not None
        for container in need.containers
    }
    return json.dumps(allocation, sort_keys=True, separators=(",", ":"))


def allocation_from_annotation(value: str) -> dict[str, Allotment]:
    """Read `mig-allocation`. Raises `ValueError` for anything that is not its form."""
    try:
        return {
            container: Allotment(
                node=place["node"], gpu=place["gpu"], profile=parse_profile(place["profile"]), start=int(place["start"])
            )
            for container, place in json.loads(value).items()
        }
    except (AttributeError, KeyError, TypeError, RecursionError, ProfileNameError) as error:
        raise ValueError(f"not a mig-allocation: {error}") from error
