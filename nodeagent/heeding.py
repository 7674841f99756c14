"""Which version of the MigSpec to act on: never an older one than before, by (epoch, generation) within one object. Pure.

Watches may deliver late, a deposed allocator may write late. The API server refuses a lower epoch; where it was forced in
all the same, the agent does not act on it, and says so. A MigSpec that was made anew starts over.
"""

from enum import Enum, auto

from mig.migspec import MigSpec


class Verdict(Enum):
    """What to do with a version that was seen."""

    HEED = auto()
    LATE = auto()
    """An older version of what is known: ignore it silently."""
    DEPOSED = auto()
    """A newer version with an older epoch: ignore it, and say so."""


def verdict(known: MigSpec | None, seen: MigSpec) -> Verdict:
    """Whether to act on `seen` after `known`."""
    if known is None or known.uid != seen.uid:
        return Verdict.HEED
    if seen.generation < known.generation:
        return Verdict.LATE
    if seen.spec.leader_epoch < known.spec.leader_epoch:
        return Verdict.DEPOSED
    return Verdict.HEED
