"""What NVIDIA's device plugin is known to the kubelet by: ids, each under a resource.

Why not ids alone: the UUID of a MIG device depends on its GPU and on the ids of its GPU instance and compute instance, and a GPU
instance's id on its size and place. A slice that is remade at the same place can have the UUID of the one before and another
profile (3g and 4g from memory slice 0, 1g and 1g+me), and the kubelet would go on offering it under the old one.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One id under one resource."""

    resource: str
    device_id: str

    def __str__(self) -> str:
        return f"{self.device_id} as {self.resource}"


def entries(listed: Mapping[str, frozenset[str]]) -> frozenset[Entry]:
    """All of what is listed by resource."""
    return frozenset(Entry(resource, each) for resource, ids in listed.items() for each in ids)
