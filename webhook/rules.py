"""The rules for one container that names a MIG resource. What breaks one is refused in the user's words.

At most one MIG device a container, quantities and requests as the API server's
rule for extended resources has them, no whole GPU beside, and no `NVIDIA_VISIBLE_DEVICES` of the user's own, which would
win over the one that the device plugin sets and show the container more than its slice.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from mig.names import WHOLE_GPU_RESOURCE
from mig.profiles import Profile, ProfileNameError, is_mig_resource, profile_of_resource
from mig.quantity import QuantityError, parse_quantity
from webhook.larger import larger_profiles
from webhook.shape import Json, RefusalError, mapping, objects, shown, text

VISIBLE_DEVICES: Final = "NVIDIA_VISIBLE_DEVICES"
MAX_RESOURCE_NAME: Final = len("nvidia.com/") + 63
"""The API server's bound for the part behind the slash is 63 characters."""
_LISTED: Final = 4

Quantities = Mapping[str, Fraction]


def check_container(container: Json, *, where: str) -> bool:
    """Whether the container asks for one MIG device; raises `RefusalError` when it breaks a rule."""
    name = shown(text(container.get("name"), where=f"{where}.name"))
    resources = mapping(container.get("resources"), where=f"{where}.resources")
    limits = mapping(resources.get("limits"), where=f"{where}.resources.limits")
    requests = mapping(resources.get("requests"), where=f"{where}.resources.requests")
    asked = _quantities(limits, name=name)
    _check_requests(_quantities(requests, name=name), asked, name=name)
    devices = {resource: quantity for resource, quantity in asked.items() if quantity > 0}
    if not devices:
        return False
    profiles = {_profile(resource, name=name): int(quantity) for resource, quantity in devices.items()}
    _check_no_whole_gpu(limits, requests, devices, name=name)
    _check_one_device(profiles, name=name)
    _check_environment(container, name=name, where=where)
    return True


def _quantities(resources: Json, *, name: str) -> Quantities:
    """The MIG resources with their quantities: whole numbers from 0."""
    found = {}
    for resource, value in resources.items():
        if not is_mig_resource(resource):
            continue
        try:
            quantity = parse_quantity(value)
        except QuantityError as error:
            raise RefusalError(f"container {name}: {shown(resource)}: {error}") from error
        if quantity < 0 or quantity.denominator != 1:
            raise RefusalError(f"container {name}: {shown(resource)}: {shown(value)} devices cannot be; write 1")
        found[resource] = quantity
    return found


def _check_requests(requests: Quantities, limits: Quantities, *, name: str) -> None:
    """The API server's rule for extended resources: a limit alone will do; a request needs an equal limit."""
    for resource, quantity in requests.items():
        if resource not in limits:
            raise RefusalError(
                f"container {name} requests {shown(resource)} without a limit, which extended resources need; "
                "write it under resources.limits (requests may then be left out)"
            )
        if quantity != limits[resource]:
            raise RefusalError(
                f"container {name} requests {quantity} of {shown(resource)} but limits it to {limits[resource]}, and the two "
                "must be equal; write it under resources.limits alone"
            )


def _profile(resource: str, *, name: str) -> Profile:
    if len(resource) > MAX_RESOURCE_NAME:
        raise RefusalError(f"container {name}: {shown(resource)} is longer than a resource name may be")
    try:
        return profile_of_resource(resource)
    except ProfileNameError as error:
        raise RefusalError(f"container {name}: {error}") from error


def _check_no_whole_gpu(limits: Json, requests: Json, devices: Quantities, *, name: str) -> None:
    for value in (limits.get(WHOLE_GPU_RESOURCE), requests.get(WHOLE_GPU_RESOURCE)):
        if value is not None and not _is_zero(value):
            raise RefusalError(
                f"container {name} asks for {WHOLE_GPU_RESOURCE} and {_listed(devices)}; a container gets whole GPUs or "
                "one MIG device, not both: ask for them in two containers, or leave one out"
            )


def _is_zero(value: object) -> bool:
    try:
        return parse_quantity(value) == 0
    except QuantityError:
        return False


def _check_one_device(profiles: Mapping[Profile, int], *, name: str) -> None:
    devices = sum(profiles.values())
    if devices <= 1:
        return
    larger = [f"{profile.resource}: 1" for profile in larger_profiles(profiles)]
    instead = (
        f"for example {' or '.join(larger)}"
        if larger
        else "one larger profile (kubectl get migspecs shows the nodes, kubectl describe what their GPUs offer)"
    )
    asked = _listed({profile.resource: Fraction(count) for profile, count in profiles.items()})
    raise RefusalError(
        f"container {name} asks for {devices} MIG devices ({asked}), and a container may have at most one, since a CUDA "
        f"process uses only one; ask for one larger device, {instead}, or spread the work over several containers"
    )


def _check_environment(container: Json, *, name: str, where: str) -> None:
    for entry in objects(container.get("env"), where=f"{where}.env"):
        if entry.get("name") == VISIBLE_DEVICES:
            raise RefusalError(
                f"container {name} sets the variable {VISIBLE_DEVICES}, which would show it other devices than its own "
                "MIG device; leave it out, it is set for you"
            )


def _listed(devices: Quantities) -> str:
    """`nvidia.com/mig-1g.10gb: 1, nvidia.com/mig-2g.20gb: 1`, at most a few."""
    shown_ones = [f"{resource}: {quantity}" for resource, quantity in sorted(devices.items())[:_LISTED]]
    return ", ".join(shown_ones) + (", …" if len(devices) > _LISTED else "")
