"""One slice goes to the place that keeps the most room; equal input gives equal output."""

from dataclasses import replace

import pytest

from allocator.placement.fleet import GpuView, NodeFacts, NodeView, Resources, Wish
from allocator.placement.place import Placement, Refusal, after, place
from allocator.placement.policy import Tiny
from mig.demand import Need
from mig.geometries import ANYTHING, parse_geometries
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
FACTS = NodeFacts(
    "n1", "uid-1", {"nos.nebuly.com/gpu-partitioning": "mig"}, (), True, False, Resources(8000, 2**34, 110)
)


def at(profile: str, start: int) -> Placed:
    offer = A100.by_profile[parse_profile(profile)]
    return Placed(Window(start, offer.size), offer.profile)


def gpu(name: str = "GPU-1", *, fixed: tuple[Placed, ...] = (), warm: tuple[Placed, ...] = ()) -> GpuView:
    return GpuView(name, "NVIDIA A100-SXM4-80GB", A100, fixed, warm)


def node(*gpus: GpuView, name: str = "n1") -> NodeView:
    return NodeView(replace(FACTS, name=name), FACTS.allocatable, gpus)


def wish(*profiles: str) -> Wish:
    needs = tuple(Need(parse_profile(profile), (f"c{index}",)) for index, profile in enumerate(profiles))
    return Wish("uid", "default", "pod", needs)


def put(demand: Wish, *nodes: NodeView) -> Placement:
    found = place(demand, nodes, geometries=ANYTHING, policy=Tiny())
    assert isinstance(found, Placement), found
    return found


def test_a_small_slice_goes_to_the_gpu_that_is_already_broken_up() -> None:
    choice = put(wish("1g.10gb"), node(gpu("GPU-1"), gpu("GPU-2", fixed=(at("1g.10gb", 6),)))).choices[0]
    assert choice.gpu == "GPU-2"


def test_the_first_small_slice_leaves_room_for_a_large_one() -> None:
    """The driver's own order would do so, too; a first fit at 0 would forbid 4g."""
    (choice,) = put(wish("1g.10gb"), node(gpu())).choices
    later = put(wish("4g.40gb"), *after([node(gpu())], Placement("n1", (choice,)), wish("1g.10gb")))
    assert later.choices[0].placed.window == Window(0, 4)


def test_a_warm_slice_of_the_profile_is_reused() -> None:
    (choice,) = put(wish("2g.20gb"), node(gpu("GPU-1"), gpu("GPU-2", warm=(at("2g.20gb", 4),)))).choices
    assert (choice.gpu, choice.reuse, choice.placed) == ("GPU-2", True, at("2g.20gb", 4))


def test_a_warm_slice_in_a_place_that_costs_a_large_profile_is_not() -> None:
    """At 2 it would keep 3g and 4g out; a new one at 4 takes a moment longer and keeps them."""
    (choice,) = put(wish("2g.20gb"), node(gpu(warm=(at("2g.20gb", 2),)))).choices
    assert (choice.reuse, choice.placed) == (False, at("2g.20gb", 4))


def test_a_warm_slice_of_another_profile_makes_room() -> None:
    full = gpu(warm=(at("3g.40gb", 0), at("3g.40gb", 4)))
    (choice,) = put(wish("7g.80gb"), node(full)).choices
    assert set(choice.drops) == set(full.warm)
    assert not choice.reuse


def test_only_the_warm_slices_in_the_way_are_dropped() -> None:
    half = gpu(fixed=(at("3g.40gb", 4),), warm=(at("1g.10gb", 0), at("2g.20gb", 2)))
    (choice,) = put(wish("2g.20gb"), node(half, gpu("GPU-2", fixed=(at("7g.80gb", 0),)))).choices
    assert choice.reuse
    (other,) = put(wish("1g.20gb"), node(half)).choices
    assert len(other.drops) == 1


def test_a_failed_place_is_avoided() -> None:
    (first,) = put(wish("1g.10gb"), node(gpu())).choices
    avoid = frozenset({("n1", "GPU-1", first.placed.window.start)})
    found = place(wish("1g.10gb"), [node(gpu())], geometries=ANYTHING, policy=Tiny(), avoid=avoid)
    assert isinstance(found, Placement)
    assert found.choices[0].placed != first.placed


def test_equal_nodes_are_taken_in_the_order_of_their_names() -> None:
    nodes = [node(gpu("GPU-b"), name="b"), node(gpu("GPU-a"), name="a")]
    assert put(wish("3g.40gb"), *nodes).node == "a"
    assert put(wish("3g.40gb"), *nodes[::-1]).node == "a"


def test_a_geometry_narrows_what_is_made_and_lets_warm_slices_go() -> None:
    geometries = parse_geometries([{"models": ["A100"], "allowedGeometries": [{"1g.10gb": 7}, {"3g.40gb": 2}]}])
    found = place(wish("3g.40gb"), [node(gpu(warm=(at("1g.10gb", 0),)))], geometries=geometries, policy=Tiny())
    assert isinstance(found, Placement)
    assert found.choices[0].drops == (at("1g.10gb", 0),)
    refused = place(wish("3g.40gb"), [node(gpu(fixed=(at("1g.10gb", 0),)))], geometries=geometries, policy=Tiny())
    assert isinstance(refused, Refusal)
    assert refused.reason == "GeometryForbids"


def test_a_pod_that_chose_a_full_node_is_told_of_it_and_of_the_room_elsewhere() -> None:
    chosen = replace(wish("7g.80gb"), node_selector={"rack": "1"})
    full, free = node(gpu(fixed=(at("1g.10gb", 0),)), name="a"), node(gpu(), name="b")
    full = replace(full, facts=replace(full.facts, labels={**full.facts.labels, "rack": "1"}))
    refused = place(chosen, [full, free], geometries=ANYTHING, policy=Tiny())
    assert isinstance(refused, Refusal)
    assert refused.reason == "Full"
    assert "1 not matching the nodeSelector" in refused.message


@pytest.mark.parametrize(
    ("fixed", "profile", "reason"),
    [
        (("7g.80gb@0",), "1g.10gb", "Full"),
        (("1g.10gb@1", "1g.10gb@5"), "3g.40gb", "Fragmented"),
        ((), "1g.5gb", "NoSuchProfile"),
    ],
)
def test_a_refusal_carries_the_true_reason(fixed: tuple[str, ...], profile: str, reason: str) -> None:
    """S2: enough memory but no legal placement is `Fragmented`, with no hardware attempt."""
    laid = tuple(at(item.split("@")[0], int(item.split("@")[1])) for item in fixed)
    refused = place(wish(profile), [node(gpu(fixed=laid))], geometries=ANYTHING, policy=Tiny())
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


def test_the_profiles_that_exist_are_named_and_so_is_the_label_where_no_node_is_handed_over() -> None:
    """W16: the waiting Pod's Event lists what it could have asked for."""
    refused = place(wish("1g.5gb"), [node(gpu())], geometries=ANYTHING, policy=Tiny())
    assert isinstance(refused, Refusal)
    assert "7g.80gb" in refused.message
    nothing = place(wish("1g.5gb"), [], geometries=ANYTHING, policy=Tiny())
    assert isinstance(nothing, Refusal)
    assert "kubectl label nodes" in nothing.message


def test_a_node_that_does_not_fit_is_the_reason_when_only_it_has_room() -> None:
    short = replace(node(gpu()), free=Resources(0, 0, 0))
    refused = place(wish("1g.10gb"), [short], geometries=ANYTHING, policy=Tiny())
    assert isinstance(refused, Refusal)
    assert refused.reason == "NoNodeFits"
    assert "insufficient pods" in refused.message
