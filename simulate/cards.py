"""GPU models by name, for fleets that are described and not there: what each can be cut into.

The product itself asks drivers and tabulates nothing. A simulation has no driver to ask, so it takes what the simulated driver
would answer, from that one table. A live cluster's GPUs come from their agents' reports and never through here.
"""

from dataclasses import dataclass
from functools import cache

from mig.placements import GpuShape, ProfileOffer
from mig.profiles import parse_profile
from simgpu.catalogue import Model, Profile, find, models
from simgpu.errors import UnknownGpuError


class UnknownCard(ValueError):
    """A GPU model that cannot be simulated; the message lists those that can."""


@dataclass(frozen=True, slots=True)
class Card:
    """One model: the name that its driver reports, what it offers, and whether that layout is an assumption of ours."""

    model: str
    shape: GpuShape
    assumed: bool = False


@cache
def card(name: str) -> Card:
    """A model by id (`a100-80gb`) or product name, upper and lower case alike. Raises `UnknownCard`."""
    try:
        model, product = find(name)
    except UnknownGpuError as error:
        raise UnknownCard(
            f"there is no GPU model {name!r}; write one of {_known()}, or a product name of theirs"
        ) from error
    if not model.profiles:
        raise UnknownCard(f"{product} has no MIG; write one of {_known()}")
    offers = tuple(_offer(profile) for profile in model.profiles)
    return Card(product, GpuShape(model.grid_width, offers), model.assumed)


def _known() -> str:
    return ", ".join(model.id for model in models() if _can_be_cut(model))


def _can_be_cut(model: Model) -> bool:
    return bool(model.profiles)


def _offer(profile: Profile) -> ProfileOffer:
    return ProfileOffer(
        profile=parse_profile(profile.name),
        profile_id=profile.id,
        size=profile.size,
        starts=tuple(place.start for place in profile.placements),
        max_instances=profile.instances,
        memory_mib=profile.memory_mib,
    )
