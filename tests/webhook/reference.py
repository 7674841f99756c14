"""A second opinion on Pods: the rules of admission, written another way and sharing no code with the webhook.

It works on flat facts pulled out of the Pod, uses `Decimal` and regular expressions of its own, and returns either the
annotation's content (empty when the Pod passes unchanged) or None for a refusal. The property tests compare the two.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

PROFILE = re.compile(r"nvidia\.com/mig-(\d\d?g\.\d{1,4}gb)((?:[.-][a-z]+)*)", re.ASCII)
NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,3})")
FACTORS = {
    "": Decimal(1),
    **{
        suffix: Decimal(10) ** (3 * (place - 3))
        for place, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"))
    },
    **{suffix + "i": Decimal(2) ** (10 * (place + 1)) for place, suffix in enumerate("KMGTPE")},
}


def expected(pod: Any) -> dict[str, str] | None:
    """Give container → profile, empty for a Pod that passes unchanged, or None for one that is refused."""
    try:
        return _expected(pod)
    except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation):
        return None


def _expected(pod: dict[str, Any]) -> dict[str, str] | None:
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    if "nos.nebuly.com/mig-allocation" in annotations.keys():  # noqa: SIM118 -- a text in place of a map must not pass
        return None
    if "kubernetes.io/config.mirror" in annotations:
        return {}
    spec = pod.get("spec") or {}
    request: dict[str, str] = {}
    seen = []
    for container in _containers(spec):
        seen.append(container["name"])
        devices = list(_devices(container))
        if sum(count for _, count in devices) > 1:
            return None
        for resource, _ in devices:
            if _whole_gpus(container) or _chooses_devices(container):
                return None
            base, attributes = _parts(resource)
            request[container["name"]] = base + re.sub(r"^\.", "+", attributes)
    gates = [gate.get("name") for gate in spec.get("schedulingGates") or []]
    if (
        len(set(seen)) < len(seen)
        or (request and spec.get("nodeName"))
        or (not request and "nos.nebuly.com/mig" in gates)
    ):
        return None
    return request


def _containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("initContainers", "containers"):
        found = spec.get(kind)
        if not isinstance(found, list | None):
            raise TypeError(kind)
        for container in found or []:
            if not isinstance(container["name"], str) or container["name"] == "":
                raise TypeError("name")
            yield container


def _devices(container: dict[str, Any]) -> Iterator[tuple[str, int]]:
    resources = container.get("resources") or {}
    limits = {key: _whole(value) for key, value in (resources.get("limits") or {}).items() if _ours(key)}
    requests = {key: _whole(value) for key, value in (resources.get("requests") or {}).items() if _ours(key)}
    if any(limits[key] != value for key, value in requests.items()):  # a KeyError is a request without a limit
        raise ValueError("requests and limits differ")
    for key, value in limits.items():
        if value:
            yield key, value


def _ours(resource: str) -> bool:
    return resource[:15] == "nvidia.com/mig-"


def _parts(resource: str) -> tuple[str, str]:
    match = PROFILE.fullmatch(resource)
    if match is None or len(resource) > 74 or match[1].startswith("0") or ".0" in match[1]:
        raise ValueError(resource)
    return match[1], match[2]


def _whole(value: Any) -> int:
    if type(value) is int:
        value = str(value)
    match = NUMBER.fullmatch(value)
    if match is None:
        raise ValueError(value)
    digits, suffix = match.groups()
    if suffix not in FACTORS and abs(int(suffix[1:])) > 30:
        raise ValueError(value)
    number = Decimal(digits) * (FACTORS[suffix] if suffix in FACTORS else Decimal(10) ** int(suffix[1:]))
    if number < 0 or number != number.to_integral_value():
        raise ValueError(value)
    return int(number)


def _whole_gpus(container: dict[str, Any]) -> bool:
    resources = container["resources"]
    values = [(resources.get(kind) or {}).get("nvidia.com/gpu") for kind in ("limits", "requests")]
    return any(value is not None and not _is_zero(value) for value in values)


def _is_zero(value: Any) -> bool:
    try:
        return _whole(value) == 0
    except (ValueError, TypeError):
        return False


def _chooses_devices(container: dict[str, Any]) -> bool:
    env = container.get("env")
    if not isinstance(env, list | None):
        raise TypeError("env")
    return any(entry.get("name") == "NVIDIA_VISIBLE_DEVICES" for entry in env or [])
