"""Where on the grid a profile can lie, as the agent plans with it."""

import ctypes
from itertools import pairwise

from tests.conformance import nvml
from tests.conformance.facts import Facts
from tests.conformance.machine import Machine

POSSIBLE = "nvmlDeviceGetGpuInstancePossiblePlacements_v2"


def test_every_profile_has_places_of_one_size(machine: Machine, facts: Facts) -> None:
    """In ascending order, apart from each other, each at a multiple of its size, at least as many as it may have instances."""
    for gpu in machine.cut():
        for profile in nvml.profiles(gpu.handle):
            where, places = f"{gpu} {profile.name}", profile.places
            sizes = {size for _, size in places}
            facts.same("sizes", expected=1, found=len(sizes), where=where)
            facts.holds("apart and ascending", all(a + size <= b for (a, size), (b, _) in pairwise(places)), where=where,
                        found=places)  # fmt: skip
            facts.holds(
                "at multiples of the size", all(start % size == 0 for start, size in places), where=where, found=places
            )
            facts.holds(
                "enough for all instances",
                len(places) >= profile.most >= 1,
                where=where,
                found=(len(places), profile.most),
            )


def test_counting_and_listing_agree(machine: Machine, facts: Facts) -> None:
    """A call without an array says how many there are."""
    for gpu in machine.cut():
        for profile in nvml.profiles(gpu.handle):
            code, count = nvml.number(POSSIBLE, gpu.handle, profile.id, ctypes.c_void_p())
            facts.code("counting places", expected=nvml.SUCCESS, found=code, where=f"{gpu} {profile.name}")
            facts.same("places counted", expected=len(profile.places), found=count, where=f"{gpu} {profile.name}")


def test_the_largest_profile_is_the_whole_grid(machine: Machine, facts: Facts) -> None:
    """The grid is as wide as the furthest end of any place, and one profile covers all of it."""
    for gpu in machine.cut():
        profiles = nvml.profiles(gpu.handle)
        width = max(start + size for profile in profiles for start, size in profile.places)
        whole = [profile.name for profile in profiles if profile.places == ((0, width),)]
        facts.holds(f"a profile covers all {width} memory slices", bool(whole), where=gpu, found=whole)


def test_an_enum_is_no_profile_id(machine: Machine, facts: Facts) -> None:
    """Places are asked for by profile id; an id that no profile has is refused."""
    for gpu in machine.cut():
        unknown = max(profile.id for profile in nvml.profiles(gpu.handle)) + 1000
        code, _ = nvml.number(POSSIBLE, gpu.handle, unknown, ctypes.c_void_p())
        facts.code("places of an id that is none", expected=(nvml.INVALID_ARGUMENT, nvml.NOT_SUPPORTED), found=code,
                   where=gpu)  # fmt: skip
