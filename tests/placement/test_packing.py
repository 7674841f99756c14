"""Several slices of one Pod lie in the best of all ways on one node, found without trying all; no way is found only if none is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.engine import Engine
from allocator.placement.fleet import GpuView, NodeView
from allocator.placement.placement import Placement, taken
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import Profile
from tests.placement.fleets import (
    GEOMETRIES,
    MIXES,
    POLICIES,
    fleets,
    is_allowed,
    is_possible,
    offered,
    shown,
    wish,
)
from tests.placement.naive import Mind

Worth = tuple[int, int, int]
"""Score, use and the cost of what is dropped (negative): larger is better."""

NAMES = ("1g.10gb", "2g.20gb", "3g.40gb", "1g.10gb+me", "4g.40gb", "1g.20gb", "7g.80gb")


class Laid(NamedTuple):
    """A GPU in the course of a packing."""

    view: GpuView
    fixed: tuple[Placed, ...]
    warm: frozenset[Placed]


class Scene(NamedTuple):
    """What is asked for, and where."""

    mind: Mind
    fleet: tuple[NodeView, ...]
    profiles: tuple[Profile, ...]

    def __repr__(self) -> str:
        """A GPU's shape alone would fill the screen."""
        mind, names = self.mind, ", ".join(map(str, self.profiles))
        return f"{names} under {type(mind.policy).__name__}, {mind.mix}, {mind.geometries} on {shown(self.fleet)}"


@st.composite
def scenes(draw: st.DrawFn, *, most_gpus: int, slices: tuple[int, int]) -> Scene:
    models = draw(st.sampled_from((("a100-80gb",), ("a100-80gb", "h100-80gb"), ("a100-80gb", "a30-24gb", "a100-40gb"))))
    fleet = draw(fleets(models=models, most_nodes=2, most_gpus=most_gpus))
    mind = Mind(draw(st.sampled_from(POLICIES)), draw(st.sampled_from(MIXES)), draw(st.sampled_from(GEOMETRIES)))
    there = offered(fleet)
    names = st.sampled_from([name for name in there if name.slices <= 3 and not name.attributes]) | st.sampled_from(
        there
    )
    few, many = slices
    return Scene(mind, fleet, tuple(draw(st.lists(names, min_size=few, max_size=many))))


def packings(scene: Scene, node: NodeView, scales: Mapping[int, float]) -> Iterator[Worth]:
    """Every way to lay the slices on a node, the larger profiles first, as each step's warm slices go."""
    gpus = tuple(Laid(gpu, gpu.fixed, frozenset(gpu.warm)) for gpu in node.gpus)
    yield from _further(scene.mind, gpus, sorted(scene.profiles, reverse=True), scales)


def _further(
    mind: Mind, gpus: tuple[Laid, ...], profiles: Sequence[Profile], scales: Mapping[int, float]
) -> Iterator[Worth]:
    if not profiles:
        yield 0, 0, 0
        return
    for index, gpu in enumerate(gpus):
        for item in _windows(gpu.view, profiles[0]):
            if mind.fits(gpu.view, gpu.fixed, item):
                then, here = put(mind, gpu, item, scales)
                for rest in _further(mind, (*gpus[:index], then, *gpus[index + 1 :]), profiles[1:], scales):
                    yield here[0] + rest[0], here[1] + rest[1], here[2] + rest[2]


def _windows(view: GpuView, profile: Profile) -> list[Placed]:
    offer = view.shape.by_profile.get(profile)
    return (
        [] if offer is None or view.trouble else [Placed(Window(start, offer.size), profile) for start in offer.starts]
    )


def put(mind: Mind, gpu: Laid, item: Placed, scales: Mapping[int, float]) -> tuple[Laid, Worth]:
    """One slice more, and what it is worth."""
    view, fixed, warm = gpu
    scale, after, reuse = scales[id(mind.space(view))], (*fixed, item), item in warm
    cost, gone = (0, frozenset[Placed]()) if reuse else mind.drops(view, after, warm)
    gain = round(mind.value(view, after) * scale) - round(mind.value(view, fixed) * scale)
    gain += round(mind.margin(view) * scale) if reuse else 0
    return Laid(view, after, warm - gone - {item}), (gain, sum(it.window.size for it in fixed), -cost)


def scales_of_all(scene: Scene) -> Mapping[int, float]:
    return scene.mind.scales(gpu for node in scene.fleet for gpu in node.gpus)


def worth_of(scene: Scene, placement: Placement) -> Worth:
    """What a packing comes to, step by step."""
    node = next(node for node in scene.fleet if node.name == placement.node)
    now = {gpu.uuid: Laid(gpu, gpu.fixed, frozenset(gpu.warm)) for gpu in node.gpus}
    total = (0, 0, 0)
    for choice in placement.choices:
        before = now[choice.gpu]
        now[choice.gpu], (score, used, cost) = put(scene.mind, before, choice.placed, scales_of_all(scene))
        assert choice.reuse == (choice.placed in before.warm)
        assert set(choice.drops) == before.warm - now[choice.gpu].warm - {choice.placed}
        total = total[0] + score, total[1] + used, total[2] + cost
    return total


def place(scene: Scene) -> Placement | None:
    engine = Engine(scene.mind.policy, mix=scene.mind.mix)
    engine.sync(scene.fleet, geometries=scene.mind.geometries)
    return engine.find(wish(*scene.profiles))


def check_best(scene: Scene) -> None:
    scales = scales_of_all(scene)
    best = [
        (worth, (node.room, [-ord(letter) for letter in node.name]), node.name)
        for node in scene.fleet
        if (worth := max(packings(scene, node, scales), default=None)) is not None
    ]
    found = place(scene)
    assert (found is None) == (not best)
    if found is not None:
        assert (worth_of(scene, found), found.node) == (max(best)[0], max(best)[2])


@settings(max_examples=120)
@given(scenes(most_gpus=3, slices=(2, 2)))
def test_two_slices_lie_in_the_best_of_all_ways(scene: Scene) -> None:
    """Larger gain, then fuller GPUs, then less demand for what is dropped, then the node with most room, then by name."""
    check_best(scene)


@settings(max_examples=60)
@given(scenes(most_gpus=2, slices=(3, 3)))
def test_three_slices_lie_in_the_best_of_all_ways(scene: Scene) -> None:
    check_best(scene)


@settings(max_examples=25)
@given(scenes(most_gpus=1, slices=(4, 4)))
def test_four_slices_lie_in_the_best_of_all_ways(scene: Scene) -> None:
    check_best(scene)


@settings(max_examples=150)
@given(scenes(most_gpus=3, slices=(2, 6)))
def test_what_is_packed_can_lie_there_and_is_what_was_asked_for(scene: Scene) -> None:
    found = place(scene)
    if found is None:
        return
    asked = wish(*scene.profiles)
    node = next(node for node in scene.fleet if node.name == found.node)
    made = {choice.gpu for choice in found.choices if not choice.reuse}
    assert sorted(choice.need.containers for choice in found.choices) == sorted(need.containers for need in asked.needs)
    assert all(choice.need.profile == choice.placed.profile for choice in found.choices)
    for gpu in taken(node, found, asked).gpus:
        assert is_possible(gpu)
        assert gpu.uuid not in made or is_allowed(gpu, scene.mind.geometries)
