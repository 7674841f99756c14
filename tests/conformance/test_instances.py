"""The GPU instances that are there, seen from every side. Reads only."""

from typing import Any

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Machine

REMAINING = "nvmlDeviceGetGpuInstanceRemainingCapacity"


def place(info: Any) -> tuple[int, int]:
    return info.placement.start, info.placement.size


def test_an_instance_lies_where_its_profile_may_lie(machine: Machine, facts: Facts) -> None:
    """Listed under the profile id that it names itself, at one of that profile's places, on the GPU that was asked."""
    for gpu in machine.with_instances():
        for profile, _, info in nvml.instances(gpu.handle):
            where = f"{gpu} GI {info.id}"
            facts.same("its profile id", expected=profile.id, found=info.profileId, where=where)
            facts.holds("its place is a possible one", place(info) in profile.places, where=where, found=place(info))
            parent = nvml.get("nvmlDeviceGetIndex", info.device)
            facts.same("its GPU", expected=gpu.index, found=parent, where=where)


def test_an_instance_is_found_by_its_id(machine: Machine, facts: Facts) -> None:
    """Ids tell the instances of one GPU apart; one that nobody has is not found."""
    for gpu in machine.with_instances():
        infos = [info for *_, info in nvml.instances(gpu.handle)]
        facts.same("different ids", expected=len(infos), found=len({info.id for info in infos}), where=gpu)
        for info in infos:
            same = nvml.get("nvmlGpuInstanceGetInfo", nvml.get("nvmlDeviceGetGpuInstanceById", gpu.handle, info.id))
            facts.same("found by id", expected=(info.id, info.profileId, place(info)), where=f"{gpu} GI {info.id}",
                       found=(same.id, same.profileId, place(same)))  # fmt: skip
        unused = max(info.id for info in infos) + 1000
        code, _ = nvml.read(pynvml.c_nvmlGpuInstance_t, "nvmlDeviceGetGpuInstanceById", gpu.handle, unused)
        facts.code("an id that nobody has", expected=(nvml.NOT_FOUND, nvml.INVALID_ARGUMENT), found=code, where=gpu)


def test_instances_never_overlap(machine: Machine, facts: Facts) -> None:
    """No memory slice belongs to two."""
    for gpu in machine.with_instances():
        slices = [s for *_, info in nvml.instances(gpu.handle) for s in range(place(info)[0], sum(place(info)))]
        facts.same("memory slices taken once", expected=len(set(slices)), found=len(slices), where=gpu)


def test_remaining_capacity_counts_the_free_places(machine: Machine, facts: Facts) -> None:
    """On an empty GPU all that a profile may have; never more than its places that are free, nor than its bound leaves."""
    for gpu in machine.cut():
        instances = nvml.instances(gpu.handle)
        taken = {s for *_, info in instances for s in range(place(info)[0], sum(place(info)))}
        for profile in nvml.profiles(gpu.handle):
            where, (code, left) = f"{gpu} {profile.name}", nvml.number(REMAINING, gpu.handle, profile.id)
            free = sum(taken.isdisjoint(range(start, start + size)) for start, size in profile.places)
            own = sum(other.id == profile.id for other, *_ in instances)
            facts.code("remaining capacity is told", expected=nvml.SUCCESS, found=code, where=where)
            if not instances:
                facts.same("all of it remains", expected=profile.most, found=left, where=where)
            else:
                facts.holds("no more than is free", left <= min(free, profile.most - own), where=where, found=left)
