"""Which one larger profile would serve a container that asked for several devices.

A suggestion for the text of a refusal, never a decision: it names only profiles that a known family of GPUs offers together
with those asked for, and names none when it is not sure.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from mig.profiles import Profile, parse_profile

GRAPHICS: Final = "+gfx"
MAX_SUGGESTIONS: Final = 2
ROUNDED_AWAY: Final = 0.05
"""Names round memory: two of 18 GB are one of 35 GB. The largest such difference in the known families is below 3 %."""
MAX_COMPUTE_SLICES: Final = 8
"""More than any GPU has: sums beyond it have no answer."""


def larger_profiles(asked: Mapping[Profile, int]) -> tuple[Profile, ...]:
    """The smallest profiles, one a family, with at least the compute slices and the memory of all that was asked for.

    At most `MAX_SUGGESTIONS`, smallest first. A family counts when it has each asked profile (media attributes apart, since
    every larger profile brings media engines); one with graphics is only ever answered with one with graphics.
    """
    slices = sum(profile.slices * count for profile, count in asked.items())
    memory = (1 - ROUNDED_AWAY) * sum(profile.memory_gb * count for profile, count in asked.items())
    if not asked or slices > MAX_COMPUTE_SLICES:
        return ()
    attributes = GRAPHICS if any(GRAPHICS in profile.attributes for profile in asked) else ""
    sizes = {(profile.slices, profile.memory_gb) for profile in asked}
    found = set()
    for family in _families():
        if not sizes <= {(profile.slices, profile.memory_gb) for profile in family}:
            continue
        fitting = (
            profile
            for profile in family
            if profile.slices >= slices and profile.memory_gb >= memory and profile.attributes == attributes
        )
        smallest = min(fitting, default=None)
        if smallest is not None:
            found.add(smallest)
    return tuple(sorted(found)[:MAX_SUGGESTIONS])


@cache
def _families() -> tuple[tuple[Profile, ...], ...]:
    document = json.loads(files(__package__).joinpath("profile_families.json").read_text("utf-8"))
    return tuple(tuple(parse_profile(name) for name in family) for family in document["families"])
