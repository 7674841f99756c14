"""A demand is refused only if it truly does not fit, and what is placed is always possible: against brute force."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from allocator.placement.fleet import GpuView, NodeFacts, NodeView, Resources, Wish
from allocator.placement.place import Placement, after, place
from allocator.placement.policy import Tiny
from mig.demand import Need
from mig.geometries import ANYTHING
from mig.occupancy import Placed, first_fault, moves
from mig.placements import GpuShape, Window
from mig.profiles import Profile
from tests.support.shapes import shapes

MODELS = ("a100-80gb", "a30-24gb", "rtx-pro-6000-96gb")
FACTS = NodeFacts(
    "n1", "uid-1", {"nos.nebuly.com/gpu-partitioning": "mig"}, (), True, False, Resources(8000, 2**34, 110)
)
POLICY = Tiny()


@st.composite
def layouts(draw: st.DrawFn, shape: GpuShape, most: int) -> tuple[Placed, ...]:
    placed: list[Placed] = []
    for _ in range(draw(st.integers(0, most))):
        choices = list(moves(shape, placed))
        if choices:
            placed.append(draw(st.sampled_from(choices)))
    return tuple(placed)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[NodeView, Wish]:
    gpus = []
    for index in range(draw(st.integers(1, 2))):
        shape = shapes()[draw(st.sampled_from(MODELS))]
        laid = draw(layouts(shape, 6))
        kept = draw(st.lists(st.booleans(), min_size=len(laid), max_size=len(laid)))
        fixed = tuple(item for item, keep in zip(laid, kept, strict=True) if keep)
        warm = tuple(item for item, keep in zip(laid, kept, strict=True) if not keep)
        gpus.append(GpuView(f"GPU-{index}", str(shape.offers[0].profile), shape, fixed, warm))
    offered = sorted({profile for gpu in gpus for profile in gpu.shape.by_profile})
    wanted = draw(st.lists(st.sampled_from(offered), min_size=1, max_size=3))
    needs = tuple(Need(profile, (f"c{index}",)) for index, profile in enumerate(wanted))
    return NodeView(FACTS, FACTS.allocatable, tuple(gpus)), Wish("u", "ns", "p", needs)


@given(fleets())
def test_placement_agrees_with_brute_force(fleet: tuple[NodeView, Wish]) -> None:
    node, wish = fleet
    found = place(wish, [node], geometries=ANYTHING, policy=POLICY)
    assert isinstance(found, Placement) is fits_by_brute_force(node, [need.profile for need in wish.needs])


@given(fleets())
def test_what_is_placed_is_possible_on_hardware_beside_everything_that_stays(fleet: tuple[NodeView, Wish]) -> None:
    node, wish = fleet
    found = place(wish, [node], geometries=ANYTHING, policy=POLICY)
    if isinstance(found, Placement):
        (then,) = after([node], found, wish)
        assert {choice.need for choice in found.choices} == set(wish.needs)
        for gpu in then.gpus:
            assert first_fault(gpu.shape, (*gpu.fixed, *gpu.warm)) is None
        assert then.free.pods == node.free.pods - 1


@given(fleets())
def test_equal_input_gives_equal_output(fleet: tuple[NodeView, Wish]) -> None:
    node, wish = fleet
    assert place(wish, [node], geometries=ANYTHING, policy=POLICY) == place(
        wish, [node], geometries=ANYTHING, policy=Tiny()
    )


def fits_by_brute_force(node: NodeView, profiles: list[Profile]) -> bool:
    for spread in product(node.gpus, repeat=len(profiles)):
        for starts in product(*(starts_of(gpu, profile) for gpu, profile in zip(spread, profiles, strict=True))):
            laid = {gpu.uuid: list(gpu.fixed) for gpu in node.gpus}
            for gpu, profile, start in zip(spread, profiles, starts, strict=True):
                laid[gpu.uuid].append(Placed(Window(start, gpu.shape.by_profile[profile].size), profile))
            if all(first_fault(gpu.shape, laid[gpu.uuid]) is None for gpu in node.gpus):
                return True
    return False


def starts_of(gpu: GpuView, profile: Profile) -> tuple[int, ...]:
    offer = gpu.shape.by_profile.get(profile)
    return offer.starts if offer else ()
