"""How the tests of policies lay out a fleet by hand and read where a slice went."""

from mig.placements import GpuShape
from mig.profiles import Profile, parse_profile
from simulate.placer import Placer, Spot
from simulate.policies.node_first import NodeFirst
from simulate.policies.scan import Scan
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
A30 = shapes()["a30-24gb"]


def profile(name: str) -> Profile:
    return parse_profile(name)


def fleet(gpus: int, shape: GpuShape = A100) -> list[GpuShape]:
    return [shape] * gpus


def lay(placer: Scan | NodeFirst, gpu: int, name: str, start: int) -> Spot:
    """A slice put at a place of the test's choice, as if the policy had chosen it."""
    space = placer._fleet.spaces[gpu]
    after = space.after(placer._fleet.states[gpu], space.kinds[profile(name)], start)
    return placer._fleet.take(gpu, profile(name), (start, after))


def went(placer: Placer, name: str) -> tuple[int, int] | None:
    """GPU and start that a policy gives to a slice now; None where it refuses."""
    spot = placer.place(profile(name), now=0.0)
    return None if spot is None else (spot.gpu, spot.placed.window.start)
