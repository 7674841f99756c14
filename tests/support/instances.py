"""A model of one GPU for tests of pure decisions: what plans do to it, by the rules of `mig.occupancy`."""

from dataclasses import dataclass, field, replace

from mig.occupancy import Placed, fits_beside
from mig.placements import GpuShape, Window
from mig.profiles import parse_profile
from nodeagent.gpus.plan import Plan, View
from nodeagent.values import Instance

GPU = "GPU-test"


def placed(text: str) -> Placed:
    """`3g.40gb@4+4` is 3g.40gb from memory slice 4, 4 wide."""
    profile, _, window = text.partition("@")
    start, _, size = window.partition("+")
    return Placed(Window(int(start), int(size)), parse_profile(profile))


def instance(text: str, *, gi: int, uuid: str | None = None) -> Instance:
    """An instance at a place; its UUID follows its GI id unless given."""
    return Instance(GPU, gi, placed(text), f"MIG-{gi}" if uuid is None else uuid)


@dataclass
class ModelGpu:
    """Instances by GI id. `apply` refuses, by assertion, whatever real hardware would."""

    shape: GpuShape
    instances: dict[int, Instance] = field(default_factory=dict)
    owned: set[int] = field(default_factory=set)
    used: set[int] = field(default_factory=set)

    def view(self, wanted: tuple[Placed, ...]) -> View:
        """What a plan depends on."""
        here = tuple(sorted(self.instances.values(), key=lambda item: item.placed))
        return View(self.shape, wanted, here, frozenset(self.owned), frozenset(self.used))

    def put(self, item: Placed, *, whole: bool = True) -> int:
        """Make an instance, as the driver would, and give its id."""
        offer = self.shape.by_profile[item.profile]
        standing = [other.placed for other in self.instances.values()]
        assert fits_beside(offer, item.window.start, standing), f"{item} has no room beside {standing}"
        gi = next(number for number in range(64) if number not in self.instances)
        self.instances[gi] = Instance(GPU, gi, item, f"MIG-{gi}" if whole else "")
        return gi

    def apply(self, plan: Plan) -> None:
        """Do all steps of a plan: what is made needs its room now, before anything is taken away."""
        for place in plan.create:
            self.owned.add(self.put(place))
        for item in plan.complete:
            assert self.instances[item.gi].half_made
            self.instances[item.gi] = replace(item, uuid=f"MIG-{item.gi}")
        for item in plan.remove:
            assert item.gi in self.owned, "a foreign instance was planned away"
            assert item.gi not in self.used, "a used instance was planned away"
            del self.instances[item.gi]
            self.owned.discard(item.gi)
