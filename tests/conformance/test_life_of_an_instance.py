"""Made, read back, filled, in the way of others, taken away: what the agent does all day, with every code that it relies on.

Changes the GPUs that are empty and have MIG on, and leaves them empty.
"""

import ctypes
from collections.abc import Iterator

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Gpu, Machine, is_empty
from tests.conformance.nvml import Profile

BY_ID = "nvmlDeviceGetGpuInstanceById"


def places(gpu: Gpu) -> Iterator[tuple[Profile, tuple[int, int], str]]:
    """The first and the last place of every profile."""
    for profile in nvml.profiles(gpu.handle):
        for place in sorted({profile.places[0], profile.places[-1]}):
            yield profile, place, f"{gpu} {profile.name} at {place[0]}"


def test_an_instance_is_made_where_it_was_asked_for(machine: Machine, facts: Facts) -> None:
    """The place is read back, the instance is listed under its profile, and the room is taken."""
    for gpu in machine.changeable():
        for profile, place, where in places(gpu):
            with nvml.gpu_instance(gpu.handle, profile, place) as gi:
                info = nvml.get("nvmlGpuInstanceGetInfo", gi)
                back = (info.placement.start, info.placement.size)
                others = [
                    nvml.get("nvmlGpuInstanceGetInfo", each).id for each in nvml.gpu_instances(gpu.handle, profile)
                ]
                left = nvml.number("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu.handle, profile.id)[1]
                facts.same("place read back", expected=place, found=back, where=where)
                facts.same("listed under its profile", expected=[info.id], found=others, where=where)
                facts.holds("capacity shrinks", left < profile.most, where=where, found=left)
                facts.code("a second one there", expected=nvml.INSUFFICIENT_RESOURCES, where=where,
                           found=nvml.create(gpu.handle, profile, *place)[0])  # fmt: skip
        facts.holds("nothing is left", is_empty(gpu), where=gpu, found=is_empty(gpu))


def test_the_compute_instance_that_fills_it_is_its_mig_device(machine: Machine, facts: Facts) -> None:
    """One of as many slices; a second finds no room; its device is found at once by UUID."""
    for gpu in machine.changeable():
        for profile, place, where in places(gpu):
            with nvml.gpu_instance(gpu.handle, profile, place) as gi:
                none, _ = nvml.read(type(gpu.handle), "nvmlDeviceGetMigDeviceHandleByIndex", gpu.handle, 0)
                code, ci = nvml.fill(gi, profile.slices)
                facts.code("a GPU instance alone is no MIG device", expected=nvml.NOT_FOUND, found=none, where=where)
                facts.code("filling it", expected=nvml.SUCCESS, found=code, where=where)
                info = nvml.get("nvmlComputeInstanceGetInfo", ci)
                uuid = nvml.get("nvmlDeviceGetUUID", info.device)
                device = nvml.get("nvmlDeviceGetHandleByUUID", uuid)
                ids = (
                    nvml.get("nvmlDeviceGetGpuInstanceId", device),
                    nvml.get("nvmlDeviceGetComputeInstanceId", device),
                )
                own = nvml.get("nvmlGpuInstanceGetInfo", gi).id
                facts.same(
                    "slices",
                    expected=(0, profile.slices),
                    found=(info.placement.start, info.placement.size),
                    where=where,
                )
                facts.same("its device by UUID", expected=(own, info.id), found=ids, where=where)
                facts.code("filling it twice", expected=nvml.INSUFFICIENT_RESOURCES, where=where,
                           found=nvml.fill(gi, profile.slices)[0])  # fmt: skip


def test_it_is_taken_away_from_the_inside_out(machine: Machine, facts: Facts) -> None:
    """With its compute instance in it, it is in use; afterwards neither id nor UUID is found."""
    for gpu in machine.changeable():
        for profile, place, where in places(gpu):
            with nvml.gpu_instance(gpu.handle, profile, place) as gi:
                _, ci = nvml.fill(gi, profile.slices)
                gi_id = nvml.get("nvmlGpuInstanceGetInfo", gi).id
                uuid = nvml.get("nvmlDeviceGetUUID", nvml.get("nvmlComputeInstanceGetInfo", ci).device)
                wrong = nvml.call("nvmlGpuInstanceDestroy", gi)
                facts.code("destroyed with what is in it", expected=nvml.IN_USE, found=wrong, where=where)
                inner, outer = nvml.call("nvmlComputeInstanceDestroy", ci), nvml.call("nvmlGpuInstanceDestroy", gi)
                facts.code("compute instance destroyed", expected=nvml.SUCCESS, found=inner, where=where)
                facts.code("GPU instance destroyed", expected=nvml.SUCCESS, found=outer, where=where)
                by_id, _ = nvml.read(pynvml.c_nvmlGpuInstance_t, BY_ID, gpu.handle, gi_id)
                by_uuid, _ = nvml.read(type(gpu.handle), "nvmlDeviceGetHandleByUUID", uuid.encode())
                facts.code("its id afterwards", expected=nvml.NOT_FOUND, found=by_id, where=where)
                facts.code("its UUID afterwards", expected=nvml.NOT_FOUND, found=by_uuid, where=where)


def test_ids_are_used_again(machine: Machine, facts: Facts) -> None:
    """Two equal instances in a row have one id, so an id alone never says which instance is meant."""
    for gpu in machine.changeable():
        for profile, place, where in places(gpu):
            ids = []
            for _ in range(2):
                with nvml.gpu_instance(gpu.handle, profile, place) as gi:
                    ids.append(nvml.get("nvmlGpuInstanceGetInfo", gi).id)
            facts.same("id of the second", expected=ids[0], found=ids[1], where=where)


def test_a_place_that_is_none_is_refused(machine: Machine, facts: Facts) -> None:
    """Behind the grid, of another size, or between two places; nothing is made."""
    for gpu in machine.changeable():
        for profile in nvml.profiles(gpu.handle):
            start, size = profile.places[-1]
            for what, wrong in {"behind the grid": (64, size), "of another size": (start, size + 1)}.items():
                code, _ = nvml.create(gpu.handle, profile, *wrong)
                facts.code(what, expected=(nvml.INVALID_ARGUMENT, nvml.INSUFFICIENT_RESOURCES), found=code,
                           where=f"{gpu} {profile.name}")  # fmt: skip
        facts.holds("nothing was made", is_empty(gpu), where=gpu, found=is_empty(gpu))


def test_without_a_place_the_driver_chooses_a_possible_one(machine: Machine, facts: Facts) -> None:
    """Which one is its own affair, and the reason why the agent always names the place."""
    for gpu in machine.changeable():
        for profile in nvml.profiles(gpu.handle):
            gi = pynvml.c_nvmlGpuInstance_t()
            code = nvml.call("nvmlDeviceCreateGpuInstance", gpu.handle, profile.id, ctypes.byref(gi))
            facts.code("made without a place", expected=nvml.SUCCESS, found=code, where=f"{gpu} {profile.name}")
            if code == nvml.SUCCESS:
                info = nvml.get("nvmlGpuInstanceGetInfo", gi)
                nvml.call("nvmlGpuInstanceDestroy", gi)
                got = (info.placement.start, info.placement.size)
                facts.holds("at a possible one", got in profile.places, where=f"{gpu} {profile.name}", found=got)


def test_the_room_of_one_is_no_room_for_another(machine: Machine, facts: Facts) -> None:
    """While a slice stands, every profile's places that overlap it are refused, and the remaining capacity says so."""
    for gpu in machine.changeable():
        profiles = nvml.profiles(gpu.handle)
        small = min(profiles, key=lambda profile: (profile.places[0][1], profile.memory_mib, profile.id))
        with nvml.gpu_instance(gpu.handle, small, small.places[0]):
            for profile in profiles:
                start, size = profile.places[0]
                free = sum(start >= small.places[0][1] for start, _ in profile.places)
                code, gi = nvml.create(gpu.handle, profile, start, size)
                if code == nvml.SUCCESS:
                    nvml.call("nvmlGpuInstanceDestroy", gi)
                left = nvml.number("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu.handle, profile.id)[1]
                where = f"{gpu} {profile.name}"
                facts.code("over another", expected=nvml.INSUFFICIENT_RESOURCES, found=code, where=where)
                facts.holds("capacity left", left <= min(free, profile.most), where=where, found=left)
