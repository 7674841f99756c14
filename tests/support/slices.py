"""Slices to offer, by number."""

from mig.placements import Window
from mig.profiles import Profile
from nodeagent.kubelet.devicenodes import Access
from nodeagent.kubelet.offers import Device


def uuid(number: int) -> str:
    """A MIG UUID."""
    return f"MIG-00000000-0000-5000-8000-{number:012d}"


def device(number: int, profile: Profile, *, gpu: str = "GPU-a", access: Access | None = None) -> Device:
    """A slice of that number."""
    return Device(id=uuid(number), profile=profile, gpu=gpu, window=Window(number % 8, 1), access=access)
