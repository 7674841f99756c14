"""One slice goes to the very place that is first in the documented order, and is refused only where it fits nowhere."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.engine import Engine
from allocator.placement.fleet import NodeView
from allocator.placement.placement import Placement, taken
from mig.profiles import Profile
from tests.placement.fleets import GEOMETRIES, MIXES, POLICIES, fleets, is_allowed, is_possible, offered, shown, wish
from tests.placement.naive import Mind, Spot, spots


class Scene(NamedTuple):
    """What is asked for, and where."""

    mind: Mind
    fleet: tuple[NodeView, ...]
    profile: Profile

    def __repr__(self) -> str:
        """A GPU's shape alone would fill the screen."""
        mind = self.mind
        return (
            f"{self.profile} under {type(mind.policy).__name__}, {mind.mix}, {mind.geometries} on {shown(self.fleet)}"
        )


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    fleet = draw(fleets())
    mind = Mind(draw(st.sampled_from(POLICIES)), draw(st.sampled_from(MIXES)), draw(st.sampled_from(GEOMETRIES)))
    return Scene(mind, fleet, draw(st.sampled_from(offered(fleet))))


def engine(mind: Mind, fleet: tuple[NodeView, ...]) -> Engine:
    made = Engine(mind.policy, mix=mind.mix)
    made.sync(fleet, geometries=mind.geometries)
    return made


def chosen(found: Placement) -> tuple[str, str, int, bool, frozenset[object]]:
    (choice,) = found.choices
    return found.node, choice.gpu, choice.placed.window.start, choice.reuse, frozenset(choice.drops)


def expected(spot: Spot) -> tuple[str, str, int, bool, frozenset[object]]:
    return spot.key[1], spot.gpu, spot.start, spot.reuse, frozenset(spot.drops)


@settings(max_examples=300)
@given(scenes())
def test_the_place_is_the_first_of_all_in_the_documented_order(scene: Scene) -> None:
    """And there is one where brute force finds one."""
    mind, fleet, profile = scene
    found = engine(mind, fleet).find(wish(profile))
    everything = spots(mind, fleet, profile)
    assert (found is None) == (not everything)
    if found is not None:
        assert chosen(found) == expected(everything[0])


@settings(max_examples=120)
@given(scenes())
def test_every_place_is_told_best_first(scene: Scene) -> None:
    mind, fleet, profile = scene
    ranked = [chosen(found) for found, _ in engine(mind, fleet).ranked(wish(profile))]
    assert ranked == [expected(spot) for spot in spots(mind, fleet, profile)]


@settings(max_examples=120)
@given(scenes())
def test_what_is_placed_can_lie_there_and_no_geometry_is_left(scene: Scene) -> None:
    """Beside all that stays; what was outside the geometries before is not the new slice's doing unless it is made."""
    mind, fleet, profile = scene
    asked = wish(profile)
    found = engine(mind, fleet).find(asked)
    if found is not None:
        (choice,) = found.choices
        view = next(item for item in fleet if item.name == found.node)
        then = next(item for item in taken(view, found, asked).gpus if item.uuid == choice.gpu)
        assert is_possible(then)
        assert choice.reuse or is_allowed(then, mind.geometries)


@settings(max_examples=100)
@given(st.data())
def test_the_order_in_which_nodes_are_given_does_not_matter(data: st.DataObject) -> None:
    mind, fleet, profile = data.draw(scenes())
    shuffled = tuple(data.draw(st.permutations(fleet)))
    assert engine(mind, fleet).find(wish(profile)) == engine(mind, shuffled).find(wish(profile))
