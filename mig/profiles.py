"""MIG profiles: their names, what the parts of a name mean, and the extended resource that stands for each.

A profile is what the driver calls it (`3g.40gb`, `1g.10gb+me`, `1g.24gb-me`); a resource is what a Pod asks for
(`nvidia.com/mig-3g.40gb`, `nvidia.com/mig-1g.10gb.me`). Kubernetes forbids `+` in resource names, so it becomes `.`; `-` stays.
Names and memory sizes change with the driver version, hence `same_profile`. This module knows no placements.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from mig.names import RESOURCE_PREFIX

_NAME = re.compile(
    r"(?P<slices>[1-9]\d?)g\.(?P<memory>[1-9]\d{0,3})gb(?P<attributes>(?:[+-][a-z]+(?:\.[a-z]+)*)*)", re.ASCII
)
_RESOURCE_NAME = re.compile(
    r"(?P<base>[1-9]\d?g\.[1-9]\d{0,3}gb)(?P<attributes>(?:[.-][a-z]+)*)",
    re.ASCII,
)
_RENAMED_MEMORY_SHARE = 0.10
"""Drivers renamed memory by at most 5 % (`1g.24gb`, later `1g.23gb`); distinct profiles of equal slices differ by 2 times."""


class ProfileNameError(ValueError):
    """A text that is no MIG profile; the message says what a profile looks like."""


@dataclass(frozen=True, slots=True, order=True)
class Profile:
    """One MIG profile by its parts: compute slices, memory in GB as the name rounds it, attributes as the driver writes them."""

    slices: int
    memory_gb: int
    attributes: str = ""

    def __str__(self) -> str:
        return f"{self.slices}g.{self.memory_gb}gb{self.attributes}"

    @property
    def resource(self) -> str:
        """The extended resource that a Pod asks for, `nvidia.com/mig-1g.10gb.me` for `1g.10gb+me`."""
        return f"{RESOURCE_PREFIX}{self}".replace("+", ".")

    @property
    def takes_media(self) -> bool:
        """Whether it holds the media engines of which a GPU has one set (`+me`, `+me.all`): at most one holder a GPU."""
        return "+me" in self.attributes


@lru_cache(maxsize=4096)
def parse_profile(name: str) -> Profile:
    """Read a driver's name, `1g.10gb+me`.

    Raises `ProfileNameError` for anything else, compute-instance profiles (`1c.3g.40gb`) included.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ProfileNameError(f"{name!r} is not a MIG profile; one looks like 1g.10gb, 3g.40gb or 1g.10gb+me")
    return Profile(int(match["slices"]), int(match["memory"]), match["attributes"])


def is_mig_resource(resource: str) -> bool:
    """Whether a resource name is in our part of NVIDIA's domain, well formed or not."""
    return resource.startswith(RESOURCE_PREFIX)


@lru_cache(maxsize=4096)
def profile_of_resource(resource: str) -> Profile:
    """Read a resource name, `nvidia.com/mig-1g.10gb.me` as `1g.10gb+me` and `nvidia.com/mig-1g.24gb.me.all` as `1g.24gb+me.all`.

    Raises `ProfileNameError` where it names no profile.
    """
    match = _RESOURCE_NAME.fullmatch(resource.removeprefix(RESOURCE_PREFIX)) if is_mig_resource(resource) else None
    if match is None:
        raise ProfileNameError(
            f"{resource!r} names no MIG profile; write for example {RESOURCE_PREFIX}1g.10gb or {RESOURCE_PREFIX}1g.10gb.me"
        )
    attributes = match["attributes"]
    if attributes.startswith("."):
        attributes = "+" + attributes[1:]
    return parse_profile(match["base"] + attributes)


def same_profile(left: Profile, right: Profile) -> bool:
    """Whether two names mean one profile under different driver versions: equal slices and attributes, memory within 10 %."""
    return (
        left.slices == right.slices
        and left.attributes == right.attributes
        and abs(left.memory_gb - right.memory_gb) <= _RENAMED_MEMORY_SHARE * max(left.memory_gb, right.memory_gb)
    )
