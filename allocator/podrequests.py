"""How much of a node a Pod takes, MIG left out: the scheduler's own sums, from its objects as the API server has them.

A Pod takes max(app containers + sidecars, each init container + the sidecars before it) of each resource, what it states for itself
as a whole in place of that, plus its overhead. While it is being resized it takes the larger of what it asks for now, what the
kubelet has granted it, and what it still runs with.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from allocator.placement.fleet import Resources
from mig.demand import all_containers
from mig.profiles import is_mig_resource
from mig.quantity import parse_quantity

Json = Mapping[str, Any]

NATIVE: Final = ("cpu", "memory", "pods")
_HUGEPAGES: Final = "hugepages-"
_ONE_POD: Final = Resources(pods=1)


def pod_requests(pod: Json) -> Resources:
    """What a Pod takes of its node, or will take of it: itself counted as one Pod."""
    spec, status = pod["spec"], pod.get("status") or {}
    total = _by_containers(spec, _requests_of)
    own = (spec.get("resources") or {}).get("requests") or {}
    if status:
        resize = _Resize(status)
        if not resize.is_settled(spec):
            total = resize.largest(spec, total)
            own = resize.largest_of_pod(own)
    if own:
        total = _stating(total, own)
    overhead = spec.get("overhead")
    return (total.plus(amounts(overhead)) if overhead else total).plus(_ONE_POD)


def _by_containers(spec: Json, requests_of: Callable[[Json], Json]) -> Resources:
    sidecars = Resources()
    starting: list[Resources] = []
    running = Resources()
    for container, plain_init in all_containers(spec):
        request = amounts(requests_of(container))
        if plain_init:
            starting.append(sidecars.plus(request))
        elif container.get("restartPolicy") == "Always":
            sidecars = sidecars.plus(request)
        else:
            running = running.plus(request)
    return _largest([*starting, running.plus(sidecars)])


def _requests_of(container: Json) -> Json:
    return (container.get("resources") or {}).get("requests") or {}


def _stating(total: Resources, own: Json) -> Resources:
    """What a Pod states as a whole counts instead of its containers' sum: CPU, memory and huge pages can be stated so."""
    stated = amounts(own)
    huge = {name: amount for name, amount in stated.other.items() if name.startswith(_HUGEPAGES)}
    return Resources(
        stated.milli_cpu if "cpu" in own else total.milli_cpu,
        stated.memory if "memory" in own else total.memory,
        0,
        {**total.other, **huge} if huge else total.other,
    )


def amounts(requests: Json) -> Resources:
    """One list of requests, rounded up as the scheduler does."""
    return Resources(
        milli_cpu=math.ceil(parse_quantity(requests.get("cpu", 0)) * 1000),
        memory=math.ceil(parse_quantity(requests.get("memory", 0))),
        other={
            name: math.ceil(parse_quantity(amount))
            for name, amount in requests.items()
            if name not in NATIVE and not is_mig_resource(name)
        },
    )


def _largest(items: Iterable[Resources]) -> Resources:
    items = list(items)
    names = {name for item in items for name in item.other}
    return Resources(
        max(item.milli_cpu for item in items),
        max(item.memory for item in items),
        0,
        {name: max(item.other.get(name, 0) for item in items) for name in names},
    )


class _Resize:
    """What the kubelet says that it has granted (`allocatedResources`) and what runs (`resources`), by container and of the Pod."""

    def __init__(self, status: Json) -> None:
        self._status = status
        kinds = ("initContainerStatuses", "containerStatuses")
        self._statuses: dict[str, Json] = {item["name"]: item for kind in kinds for item in status.get(kind) or ()}
        pending = (item for item in status.get("conditions") or () if item.get("type") == "PodResizePending")
        self._infeasible = next((item.get("reason") == "Infeasible" for item in pending), False)

    def is_settled(self, spec: Json) -> bool:
        """Whether everything is as the spec asks for: of nearly every Pod, at nearly every time."""
        if self._infeasible or "resources" in self._status or "allocatedResources" in self._status:
            return False
        return all(
            said is None or said == _requests_of(container)
            for container, _ in all_containers(spec)
            for said in self._said_of(container)
        )

    def _said_of(self, container: Json) -> Iterator[Json | None]:
        status = self._statuses.get(container["name"], {})
        yield (status.get("resources") or {}).get("requests")
        yield status.get("allocatedResources")

    def largest(self, spec: Json, asked: Resources) -> Resources:
        """The largest of what containers ask for (an infeasible wish left out), are granted, and run with."""
        granted, running = self._status.get("allocatedResources"), (self._status.get("resources") or {}).get("requests")
        if granted is not None and running is not None:
            sums = [amounts(granted), amounts(running)]
        else:
            sums = [_by_containers(spec, self._granted), _by_containers(spec, self._running)]
        return _largest(sums if self._infeasible else [asked, *sums])

    def _granted(self, container: Json) -> Json:
        _, granted = self._said_of(container)
        return granted if granted is not None else self._asked(container)

    def _running(self, container: Json) -> Json:
        running, _ = self._said_of(container)
        return running if running is not None else self._granted(container)

    def _asked(self, container: Json) -> Json:
        return {} if self._infeasible else _requests_of(container)

    def largest_of_pod(self, own: Json) -> Json:
        """The same of what the Pod states as a whole."""
        said = self._status.get("resources")
        if not own or said is None:
            return own
        lists = [said.get("requests") or {}, self._status.get("allocatedResources") or {}]
        lists += [] if self._infeasible else [own]
        names = {name for item in lists for name in item}
        return {name: max((item[name] for item in lists if name in item), key=parse_quantity) for name in names}
